import { INK, n, repeat, type Shape } from "./shape";

const bow = (x: number, y: number, turn: number, colour: string) =>
  `<path d="M${x} ${y} l-18 -11 v22 Z M${x} ${y} l18 -11 v22 Z" fill="${colour}" transform="rotate(${turn} ${x} ${y})"/>`;

const kite: Shape = (body, shade, accent) => `
<path d="M196 272 q-60 34 -18 62 t-36 58" fill="none" stroke="${INK}" stroke-width="4"/>
${bow(166, 300, -40, accent)}${bow(184, 338, 30, body)}${bow(150, 370, -30, accent)}
<g transform="rotate(14 210 160)">
<path d="M210 34 L312 134 L210 290 L108 134 Z" fill="${body}"/>
<path d="M210 34 L312 134 H210 Z M210 134 V290 L108 134 Z" fill="${shade}"/>
<path d="M210 34 V290 M108 134 H312" stroke="${INK}" stroke-width="5"/>
<circle cx="210" cy="134" r="11" fill="${accent}"/>
</g>`;

const delta: Shape = (body, shade, accent) => `
<path d="M196 232 L150 400 M204 232 L260 400" stroke="${INK}" stroke-width="3"/>
<path d="M200 70 L380 236 L200 208 L20 236 Z" fill="${body}"/>
<path d="M200 70 L290 222 L200 208 L110 222 Z" fill="${shade}"/>
<path d="M200 70 L240 214 L200 208 L160 214 Z" fill="${accent}"/>
<path d="M200 70 L380 236 M200 70 L20 236 M200 70 V208 M110 152 H290" stroke="${INK}" stroke-width="5" fill="none"/>
<path d="M20 236 l-12 40 M380 236 l12 40" stroke="${accent}" stroke-width="9"/>`;

const boxkite: Shape = (body, shade, accent) => {
  const cell = (y: number) => `
<path d="M112 ${y} L200 ${y + 38} V${y + 116} L112 ${y + 78} Z" fill="${body}"/>
<path d="M288 ${y} L200 ${y + 38} V${y + 116} L288 ${y + 78} Z" fill="${shade}"/>
<path d="M112 ${y} L200 ${y - 38} L288 ${y} L200 ${y + 38} Z" fill="${INK}" opacity=".28"/>`;
  return `<g transform="rotate(-16 200 200)">
<path d="M112 62 V318 M288 62 V318 M200 34 V280" stroke="${accent}" stroke-width="6"/>
${cell(82)}${cell(214)}
<path d="M200 110 V356" stroke="${accent}" stroke-width="6"/></g>
<path d="M236 318 L300 400" stroke="${accent}" stroke-width="3"/>`;
};

const windsock: Shape = (body, shade, accent) => {
  const top = (x: number) => 84 + (x - 112) * 0.2;
  const bottom = (x: number) => 204 - (x - 112) * 0.05;
  const ring = (i: number) => {
    const from = 112 + i * 46;
    const to = from + 46;
    return `<path d="M${from} ${n(top(from))} L${to} ${n(top(to))} L${to} ${n(bottom(to))} L${from} ${n(bottom(from))} Z" fill="${i % 2 === 0 ? body : shade}"/>`;
  };
  return `<rect x="86" y="54" width="12" height="312" rx="6" fill="${accent}"/><circle cx="92" cy="52" r="13" fill="#ffc933"/>
<path d="M98 92 L112 84 V204 L98 190" fill="none" stroke="${accent}" stroke-width="5"/>
${repeat(5, ring)}
<ellipse cx="112" cy="144" rx="15" ry="60" fill="${accent}"/>
<path d="M96 330 q-30 -26 -60 30 h120 q-20 -44 -60 -30 Z" fill="#2e8479"/>`;
};

const pinwheel: Shape = (body, shade, accent) => {
  const blade = (i: number) =>
    `<g transform="rotate(${i * 90} 200 158)"><path d="M200 158 V46 Q292 60 286 122 Z" fill="${[body, shade, accent, "#ffffff"][i]}"/><path d="M200 158 L286 122 Q268 90 200 158 Z" fill="${INK}" opacity=".22"/></g>`;
  return `<rect x="194" y="158" width="12" height="226" rx="5" fill="#b98b4e"/>${repeat(4, blade)}<circle cx="200" cy="158" r="14" fill="#e3b23c"/><circle cx="200" cy="158" r="5" fill="${INK}"/>`;
};

export const kiteShapes = { kite, delta, boxkite, windsock, pinwheel };
