import { INK, repeat, type Shape } from "./shape";

const rib = (x: number, y: number, width: number, height: number, colour: string) =>
  repeat(Math.floor(width / 12), (i) => `<path d="M${x + 6 + i * 12} ${y} v${height}" stroke="${colour}" stroke-width="3" opacity=".45"/>`);

const jumper: Shape = (body, shade, accent) => `
<path d="M132 104 L76 150 L52 296 L100 304 L128 204 Z M268 104 L324 150 L348 296 L300 304 L272 204 Z" fill="${body}"/>
<path d="M66 212 l52 10 l-6 26 l-50 -10 Z M334 212 l-52 10 l6 26 l50 -10 Z" fill="${shade}"/>
<path d="M52 296 l48 8 l-4 26 l-48 -8 Z M348 296 l-48 8 l4 26 l48 -8 Z" fill="${accent}"/>
<path d="M132 104 Q200 140 268 104 L282 170 V318 H118 V170 Z" fill="${body}"/>
<path d="M118 184 H282 V204 H118 Z M118 220 H282 V240 H118 Z" fill="${shade}"/>
<rect x="118" y="314" width="164" height="30" rx="5" fill="${accent}"/>
${rib(118, 316, 164, 26, "#ffffff")}
<path d="M150 98 Q200 66 250 98 L244 124 Q200 146 156 124 Z" fill="${accent}"/>
<path d="M168 104 Q200 90 232 104 Q220 118 200 120 Q180 118 168 104 Z" fill="${INK}" opacity=".55"/>`;

const scarf: Shape = (body, shade, accent) => {
  const stripes = (x: number, y: number, count: number) => repeat(count, (i) => `<rect x="${x}" y="${y + i * 44}" width="76" height="20" fill="${shade}"/>`);
  const fringe = (x: number, y: number) => repeat(6, (i) => `<path d="M${x + 8 + i * 12} ${y} v30" stroke="${body}" stroke-width="6" stroke-linecap="round"/>`);
  return `<rect x="214" y="156" width="76" height="150" fill="${body}"/>${stripes(214, 196, 3)}${fringe(214, 304)}
<rect x="126" y="150" width="76" height="186" fill="${body}"/>${stripes(126, 186, 4)}${fringe(126, 334)}
<path d="M126 336 V150 h26 V336 Z" fill="${accent}" opacity=".1"/>
<path d="M104 96 Q200 38 296 96 Q330 150 280 178 Q200 222 120 178 Q70 150 104 96 Z" fill="${body}"/>
<path d="M134 104 Q200 70 266 104 Q276 126 252 136 Q200 156 148 136 Q124 126 134 104 Z" fill="${accent}"/>
<path d="M92 142 l30 -8 l12 54 l-22 -14 Z M196 156 l24 -2 l4 54 l-28 0 Z M304 142 l-26 -8 l-16 54 l24 -10 Z" fill="${shade}"/>`;
};

const beanie: Shape = (body, shade, accent) => `
<circle cx="200" cy="86" r="44" fill="${shade}"/>
${repeat(12, (i) => `<path d="M200 86 L200 34" stroke="${shade}" stroke-width="13" stroke-linecap="round" transform="rotate(${i * 30} 200 86)"/>`)}
<path d="M96 270 Q88 112 200 108 Q312 112 304 270 Z" fill="${body}"/>
${repeat(6, (i) => `<path d="M200 112 Q${110 + i * 36} 150 ${106 + i * 38} 270" fill="none" stroke="${INK}" stroke-width="3" opacity=".22"/>`)}
<path d="M93 216 H307 V236 H93 Z" fill="${shade}"/><path d="M98 190 H302 V200 H98 Z" fill="${accent}"/>
<rect x="82" y="258" width="236" height="62" rx="16" fill="${shade}"/>
${rib(92, 262, 216, 54, "#ffffff")}`;

const socks: Shape = (body, shade, accent) => {
  const sock = `<path d="M130 66 H206 V212 Q208 236 240 252 L276 272 Q306 296 284 322 Q262 342 226 324 L150 282 Q130 268 130 240 Z" fill="${body}"/>
${repeat(4, (i) => `<rect x="130" y="${112 + i * 32}" width="76" height="15" fill="${shade}"/>`)}
<rect x="126" y="60" width="84" height="36" rx="7" fill="${accent}"/>
<path d="M276 272 Q306 296 284 322 Q262 342 232 327 Q236 282 276 272 Z" fill="${shade}"/>
<path d="M130 232 Q160 226 176 256 Q172 284 158 286 L150 282 Q130 268 130 240 Z" fill="${shade}"/>`;
  return `<g transform="translate(76 -8) rotate(4 200 200)" opacity=".94">${sock}</g><g transform="translate(-46 16) rotate(-5 200 200)">${sock}</g>`;
};

const blanket: Shape = (body, shade, accent) => `
<path d="M74 132 L270 90 L334 128 L138 172 Z" fill="${body}"/>
<path d="M74 132 L138 172 V318 L74 276 Z" fill="${shade}"/>
<path d="M138 172 L334 128 V276 L138 318 Z" fill="${body}"/>
<path d="M138 202 L334 158 v20 L138 222 Z M138 262 L334 218 v20 L138 282 Z" fill="${shade}" opacity=".75"/>
${repeat(3, (i) => `<path d="M${176 + i * 54} ${163 - i * 12} l20 -4 V${306 - i * 12} l-20 4 Z" fill="${accent}" opacity=".7"/>`)}
<path d="M138 172 V318 M74 132 V276" stroke="#e8503a" stroke-width="6" stroke-dasharray="10 9"/>
<path d="M138 318 L334 276" stroke="#e8503a" stroke-width="7" stroke-dasharray="12 10"/>
<path d="M138 172 L334 128" stroke="${INK}" stroke-width="3" opacity=".4"/>
<path d="M74 180 L138 220 M74 226 L138 268" stroke="${accent}" stroke-width="4" opacity=".6"/>`;

export const woollenShapes = { jumper, scarf, beanie, socks, blanket };
