import { INK, repeat, type Shape } from "./shape";

const coat: Shape = (body, shade, accent) => `
<path d="M146 92 L96 136 L62 262 L104 274 L132 190 Z" fill="${shade}"/>
<path d="M254 92 L304 136 L338 262 L296 274 L268 190 Z" fill="${shade}"/>
<path d="M62 262 l42 12 l-6 20 l-42 -12 Z M338 262 l-42 12 l6 20 l42 -12 Z" fill="${accent}"/>
<path d="M146 92 H254 L276 150 L292 340 H108 L124 150 Z" fill="${body}"/>
<path d="M200 92 H254 L276 150 L292 340 H200 Z" fill="${shade}" opacity=".35"/>
<path d="M150 94 Q200 20 250 94 Q226 122 200 124 Q174 122 150 94 Z" fill="${shade}"/>
<path d="M166 96 Q200 48 234 96 Q220 114 200 116 Q180 114 166 96 Z" fill="${INK}"/>
<path d="M200 124 V340" stroke="${INK}" stroke-width="4"/>
${repeat(4, (i) => `<circle cx="188" cy="${160 + i * 46}" r="7" fill="${accent}"/>`)}
<rect x="130" y="238" width="44" height="12" rx="3" fill="${accent}"/>
<rect x="226" y="238" width="44" height="12" rx="3" fill="${accent}"/>`;

const boots: Shape = (body, shade, accent) => `
<g transform="translate(60 -8)">
<path d="M150 96 H222 V268 Q262 274 268 312 H150 Z" fill="${shade}"/>
<rect x="144" y="312" width="132" height="22" rx="6" fill="${INK}"/>
<rect x="146" y="88" width="80" height="24" rx="6" fill="${accent}"/>
</g>
<g transform="translate(-40 6)">
<path d="M150 96 H226 V266 Q272 272 280 314 H150 Z" fill="${body}"/>
<path d="M150 96 H174 V314 H150 Z" fill="#fff" opacity=".22"/>
<rect x="143" y="312" width="146" height="24" rx="6" fill="${INK}"/>
<rect x="144" y="86" width="88" height="26" rx="6" fill="${accent}"/>
<path d="M226 214 q-30 10 -76 4" fill="none" stroke="${shade}" stroke-width="5"/>
<path d="M226 240 q-30 10 -76 4" fill="none" stroke="${shade}" stroke-width="5"/>
</g>`;

const souwester: Shape = (body, shade, accent) => `
<path d="M46 262 Q96 196 120 190 H268 Q330 206 364 286 Q296 262 200 264 Q110 262 46 262 Z" fill="${shade}"/>
<path d="M112 214 Q108 96 200 92 Q292 96 288 214 Q200 240 112 214 Z" fill="${body}"/>
<path d="M200 92 Q292 96 288 214 Q250 226 200 228 Z" fill="${shade}" opacity=".4"/>
<path d="M200 92 Q168 150 172 226 M200 92 Q236 150 232 226" fill="none" stroke="${shade}" stroke-width="5"/>
<path d="M112 196 Q200 224 288 196 V216 Q200 244 112 216 Z" fill="${accent}"/>
<path d="M132 262 q-4 60 60 76 q72 -12 76 -76" fill="none" stroke="${INK}" stroke-width="5"/>
<circle cx="192" cy="338" r="9" fill="${accent}"/>
<circle cx="200" cy="92" r="10" fill="${accent}"/>`;

const umbrella: Shape = (body, shade, accent) => `
<path d="M200 78 V312 q0 30 -28 30 q-28 0 -28 -28" fill="none" stroke="${accent}" stroke-width="12" stroke-linecap="round"/>
<path d="M48 220 Q58 84 200 76 Q342 84 352 220 Q326 194 302 218 Q276 192 251 218 Q226 192 200 218 Q174 192 149 218 Q124 192 98 218 Q74 194 48 220 Z" fill="${body}"/>
<path d="M98 218 Q110 96 200 76 Q150 120 149 218 Q124 192 98 218 Z" fill="${shade}"/>
<path d="M302 218 Q290 96 200 76 Q250 120 251 218 Q276 192 302 218 Z" fill="${shade}"/>
<path d="M200 76 V52" stroke="${accent}" stroke-width="8" stroke-linecap="round"/>`;

export const rainwearShapes = { coat, boots, souwester, umbrella };
