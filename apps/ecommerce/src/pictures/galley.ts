import { INK, repeat, type Shape } from "./shape";

const steam = (x: number, y: number) =>
  repeat(3, (i) => `<path d="M${x + i * 26} ${y} q-16 -20 0 -40 q16 -20 0 -40" fill="none" stroke="#fff" stroke-width="7" stroke-linecap="round" opacity=".75"/>`);

const kettle: Shape = (body, shade, accent) => `
<path d="M128 168 Q132 74 200 74 Q268 74 272 168" fill="none" stroke="${INK}" stroke-width="13"/>
<path d="M166 80 Q200 66 234 80" fill="none" stroke="${accent}" stroke-width="17" stroke-linecap="round"/>
<path d="M262 236 Q300 226 316 170 L346 182 Q330 270 266 288 Z" fill="${shade}"/>
<path d="M112 180 Q200 128 288 180 Q322 286 284 326 H116 Q78 286 112 180 Z" fill="${body}"/>
<path d="M200 152 Q250 152 288 180 Q322 286 284 326 H200 Z" fill="${shade}" opacity=".55"/>
<ellipse cx="200" cy="172" rx="58" ry="13" fill="${shade}"/>
<circle cx="200" cy="154" r="11" fill="${accent}"/>
<path d="M122 206 q-18 50 -4 90" fill="none" stroke="#fff" stroke-width="9" stroke-linecap="round" opacity=".5"/>
<rect x="110" y="322" width="180" height="13" rx="6" fill="${INK}"/>`;

const mug: Shape = (body, shade, accent) => `
${steam(158, 128)}
<path d="M266 184 q74 -10 74 54 q0 62 -84 58" fill="none" stroke="${shade}" stroke-width="21"/>
<path d="M104 152 H274 L264 316 Q262 330 248 330 H130 Q116 330 114 316 Z" fill="${body}"/>
<path d="M210 152 H274 L264 316 Q262 330 248 330 H210 Z" fill="${shade}" opacity=".55"/>
<path d="M108 214 q28 -22 54 0 t54 0 t54 0 l-3 48 q-26 22 -52 0 t-52 0 t-52 0 Z" fill="${accent}"/>
<ellipse cx="189" cy="152" rx="85" ry="17" fill="${accent}"/>
<ellipse cx="189" cy="153" rx="74" ry="12" fill="#5b3a22"/>`;

const flask: Shape = (body, shade, accent) => `
<rect x="152" y="58" width="96" height="66" rx="12" fill="${accent}"/>
<path d="M152 92 h96" stroke="#fff" stroke-width="5" opacity=".4"/>
<rect x="142" y="118" width="116" height="20" rx="5" fill="#c9d6dd"/>
<rect x="134" y="134" width="132" height="210" rx="20" fill="${body}"/>
<path d="M214 134 H246 Q266 134 266 154 V324 Q266 344 246 344 H214 Z" fill="${shade}" opacity=".7"/>
<path d="M134 226 q22 -18 44 0 t44 0 t44 0 v44 q-22 18 -44 0 t-44 0 t-44 0 Z" fill="${accent}"/>
<path d="M266 166 q44 4 44 58 t-44 58" fill="none" stroke="${accent}" stroke-width="13"/>
<rect x="150" y="152" width="10" height="60" rx="5" fill="#fff" opacity=".6"/>`;

const pan: Shape = (body, shade, accent) => `
<g transform="rotate(38 200 200)">
<rect x="272" y="182" width="128" height="36" rx="16" fill="${shade}"/>
<circle cx="378" cy="200" r="8" fill="#a9dcd3"/>
</g>
<circle cx="178" cy="184" r="126" fill="${shade}"/>
<circle cx="178" cy="184" r="108" fill="${body}"/>
<path d="M112 192 q-8 -58 48 -66 q34 -24 66 8 q46 14 30 60 q10 46 -40 52 q-42 26 -70 -4 q-34 -10 -34 -50 Z" fill="#fff"/>
<circle cx="184" cy="184" r="34" fill="${accent}"/>
<path d="M168 172 q10 -14 26 -10" fill="none" stroke="#fff" stroke-width="6" stroke-linecap="round"/>`;

const bowl: Shape = (body, shade, accent) => `
<ellipse cx="200" cy="190" rx="140" ry="48" fill="${shade}"/>
<ellipse cx="200" cy="194" rx="124" ry="38" fill="#f4efe2"/>
<g fill="${accent}">
<ellipse cx="200" cy="198" rx="36" ry="20"/>
<path d="M166 190 q-34 -6 -32 -26 l14 10 l6 -14 q14 14 22 26 Z M234 190 q34 -6 32 -26 l-14 10 l-6 -14 q-14 14 -22 26 Z"/>
</g>
${repeat(3, (i) => `<path d="M${170 - i * 4} ${202 + i * 6} l-24 ${4 + i * 7} M${230 + i * 4} ${202 + i * 6} l24 ${4 + i * 7}" stroke="${accent}" stroke-width="6" stroke-linecap="round"/>`)}
<circle cx="190" cy="186" r="4" fill="${INK}"/><circle cx="210" cy="186" r="4" fill="${INK}"/>
<path d="M60 194 Q200 286 340 194 Q330 316 242 332 H158 Q70 316 60 194 Z" fill="${body}"/>
<path d="M200 240 Q280 236 340 194 Q330 316 242 332 H200 Z" fill="${shade}" opacity=".6"/>
<path d="M76 250 q31 24 62 12 t62 8 t62 -8 t62 -12" fill="none" stroke="#fff" stroke-width="7" opacity=".7"/>`;

export const galleyShapes = { kettle, mug, flask, pan, bowl };
