import { INK, n, repeat, type Shape } from "./shape";

const lantern: Shape = (body, shade, accent) => `
<circle cx="200" cy="220" r="128" fill="${accent}" opacity=".16"/>
<path d="M128 168 Q128 66 200 62 Q272 66 272 168" fill="none" stroke="${shade}" stroke-width="8"/>
<path d="M166 120 H234 L246 150 H154 Z" fill="${body}"/>
<rect x="178" y="98" width="44" height="24" rx="4" fill="${shade}"/>
<path d="M154 150 H246 Q270 216 242 282 H158 Q130 216 154 150 Z" fill="#fff" opacity=".28"/>
<path d="M200 182 q34 40 14 74 q-6 14 -14 14 q-8 0 -14 -14 q-20 -34 14 -74 Z" fill="${accent}"/>
<path d="M200 222 q12 18 4 38 q-4 6 -8 0 q-8 -20 4 -38 Z" fill="#fff"/>
<path d="M154 150 Q130 216 158 282 M246 150 Q270 216 242 282" fill="none" stroke="${body}" stroke-width="8"/>
<path d="M140 216 H260" stroke="${body}" stroke-width="6"/>
<path d="M148 282 H252 L264 336 H136 Z" fill="${body}"/>
<path d="M200 282 H252 L264 336 H200 Z" fill="${shade}" opacity=".55"/>
<circle cx="264" cy="304" r="10" fill="${accent}"/>`;

const flame = (x: number, y: number, colour: string) =>
  `<circle cx="${x}" cy="${y - 22}" r="64" fill="${colour}" opacity=".18"/><path d="M${x} ${y - 62} q28 36 10 56 q-10 10 -20 0 q-18 -20 10 -56 Z" fill="${colour}"/><path d="M${x} ${y - 30} q9 14 2 24 q-4 3 -6 0 q-5 -10 4 -24 Z" fill="#fff"/>`;

const candle: Shape = (body, shade, accent) => `
${flame(200, 182, accent)}
<path d="M200 184 V206" stroke="${INK}" stroke-width="5"/>
<path d="M118 200 H282 L270 336 Q268 344 258 344 H142 Q132 344 130 336 Z" fill="${body}"/>
<path d="M200 200 H282 L270 336 Q268 344 258 344 H200 Z" fill="${shade}" opacity=".6"/>
<ellipse cx="200" cy="202" rx="82" ry="16" fill="#fffaf0"/>
<path d="M126 272 q37 -18 74 0 q37 18 75 0" fill="none" stroke="${INK}" stroke-width="6"/>
<path d="M129 300 q36 -18 71 0 q36 18 72 0" fill="none" stroke="${INK}" stroke-width="6"/>`;

const pillar: Shape = (body, shade, accent) => `
${flame(200, 140, accent)}
<path d="M200 140 V158" stroke="${INK}" stroke-width="5"/>
<rect x="142" y="154" width="116" height="178" rx="10" fill="${body}"/>
<path d="M142 186 L258 154 V196 L142 228 Z M142 260 L258 228 V270 L142 302 Z" fill="${shade}"/>
<path d="M226 154 H248 Q258 154 258 164 V322 Q258 332 248 332 H226 Z" fill="${INK}" opacity=".14"/>
<path d="M112 332 H288 L274 350 H126 Z" fill="#c9d6dd"/>`;

const torch: Shape = (body, shade, accent) => `
<path d="M262 138 L392 20 V236 Z" fill="${accent}" opacity=".5"/>
<g transform="rotate(-12 200 220)">
<rect x="70" y="184" width="140" height="66" rx="14" fill="${body}"/>
<rect x="70" y="218" width="140" height="32" rx="14" fill="${shade}" opacity=".6"/>
<path d="M204 184 L262 158 V276 L204 250 Z" fill="${shade}"/>
<rect x="258" y="152" width="22" height="130" rx="8" fill="${INK}"/>
<rect x="118" y="172" width="44" height="14" rx="6" fill="#e8503a"/>
<path d="M96 250 v30 h34" fill="none" stroke="${INK}" stroke-width="9" stroke-linecap="round"/>
<circle cx="136" cy="280" r="12" fill="#e8503a"/>
${repeat(4, (i) => `<path d="M${92 + i * 9} 196 v42" stroke="${INK}" stroke-width="3" opacity=".45"/>`)}
</g>`;

const festoon: Shape = (body, shade, accent) => {
  const colours = [body, shade, accent, "#ffffff"];
  const flag = (x: number, y: number, i: number) =>
    `<circle cx="${x}" cy="${n(y + 30)}" r="34" fill="${colours[i % 4]}" opacity=".2"/><path d="M${x - 24} ${n(y)} h48 l-24 54 Z" fill="${colours[i % 4]}"/><circle cx="${x}" cy="${n(y + 20)}" r="7" fill="#fffbe6"/>`;
  const sag = (x: number, top: number) => top + 60 - ((x - 200) / 200) ** 2 * 60;
  const row = (top: number, shift: number) =>
    `<path d="M0 ${top} Q200 ${top + 120} 400 ${top}" fill="none" stroke="#c9d6dd" stroke-width="5"/>${repeat(5, (i) => flag(56 + i * 72, sag(56 + i * 72, top), i + shift))}`;
  return row(74, 0) + row(204, 2);
};

const lighthouse: Shape = (body, shade, accent) => `
<path d="M214 108 L400 52 V176 Z" fill="${accent}" opacity=".55"/>
<path d="M186 108 L0 70 V154 Z" fill="${accent}" opacity=".3"/>
<path d="M168 140 H232 L258 336 H142 Z" fill="${body}"/>
<path d="M163 178 H237 L242 216 H158 Z M152 262 H248 L253 300 H147 Z" fill="${shade}"/>
<path d="M206 140 H232 L258 336 H218 Z" fill="${INK}" opacity=".13"/>
<rect x="154" y="132" width="92" height="12" rx="3" fill="${INK}"/>
<rect x="176" y="86" width="48" height="46" fill="${accent}"/>
<path d="M188 86 v46 M212 86 v46" stroke="${INK}" stroke-width="4"/>
<path d="M166 88 Q200 34 234 88 Z" fill="${shade}"/>
<circle cx="200" cy="54" r="7" fill="${INK}"/>
<path d="M188 336 v-34 a12 12 0 0 1 24 0 v34 Z" fill="${INK}"/>
<path d="M84 346 q30 -26 58 -10 h116 q34 -14 58 10 Z" fill="#2e8479"/>`;

export const lanternShapes = { lantern, candle, pillar, torch, festoon, lighthouse };
