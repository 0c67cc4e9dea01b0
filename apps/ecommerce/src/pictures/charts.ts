import { INK, n, repeat, type Shape } from "./shape";

const map: Shape = (body, shade, accent) => {
  const fold = (i: number) => {
    const x = 52 + i * 74;
    const [left, right] = i % 2 === 0 ? [96, 72] : [72, 96];
    return `<path d="M${x} ${left} L${x + 74} ${right} V${right + 218} L${x} ${left + 218} Z" fill="${INK}" opacity="${i % 2 === 0 ? 0 : 0.12}"/>`;
  };
  const outline = "M52 96 L126 72 L200 96 L274 72 L348 96 V314 L274 290 L200 314 L126 290 L52 314 Z";
  return `<path d="${outline}" fill="#0b2036" opacity=".25" transform="translate(10 14)"/><path d="${outline}" fill="${body}"/>
<path d="M52 200 q40 -50 78 -28 t60 -40 t44 -50 l40 -10 l74 24 V180 q-40 24 -62 6 t-58 40 t-66 26 t-110 34 Z" fill="${shade}"/>
<path d="M76 292 q60 -40 110 -24 t92 -62 t66 -16" fill="none" stroke="#fff" stroke-width="4" stroke-dasharray="3 11" stroke-linecap="round"/>
<circle cx="120" cy="262" r="16" fill="none" stroke="#fff" stroke-width="3"/><path d="M120 238 v48 M96 262 h48" stroke="#fff" stroke-width="3"/>
<path d="M258 150 l18 18 m0 -18 l-18 18" stroke="${accent}" stroke-width="9" stroke-linecap="round"/>
<path d="M98 262 Q150 300 190 240 T262 164" fill="none" stroke="${accent}" stroke-width="5" stroke-dasharray="12 9"/>
${repeat(4, fold)}`;
};

const notebook: Shape = (body, shade, accent) => `
<g transform="rotate(-8 200 200)">
<rect x="122" y="70" width="186" height="264" rx="8" fill="#fff"/>
<rect x="122" y="74" width="180" height="264" rx="8" fill="#e9e4d6"/>
<rect x="112" y="70" width="180" height="264" rx="8" fill="${body}"/>
<rect x="112" y="70" width="30" height="264" rx="8" fill="${INK}" opacity=".3"/>
<rect x="164" y="112" width="104" height="66" rx="3" fill="#fff"/>
<path d="M178 136 h76 M178 154 h50" stroke="${INK}" stroke-width="5"/>
<path d="M142 258 q38 -34 75 0 t75 0 v26 q-37 30 -75 0 t-75 0 Z" fill="${shade}"/>
<rect x="262" y="66" width="13" height="272" fill="${accent}"/>
</g>
<g transform="rotate(24 300 250)"><rect x="304" y="120" width="20" height="190" fill="${accent}"/><path d="M304 310 h20 l-10 34 Z" fill="#f4e2c0"/><path d="M310 330 h8 l-4 14 Z" fill="${INK}"/><rect x="304" y="106" width="20" height="16" rx="4" fill="#e8503a"/></g>`;

const ticks = (count: number, radius: number, length: number, colour: string) =>
  repeat(count, (i) => `<path d="M200 ${n(208 - radius)} v${length}" stroke="${colour}" stroke-width="${i % 3 === 0 ? 6 : 3}" transform="rotate(${n((i * 360) / count)} 200 208)"/>`);

const compass: Shape = (body, shade, accent) => `
<path d="M182 66 a18 18 0 1 1 36 0 v24 h-36 Z" fill="none" stroke="${body}" stroke-width="11"/>
<circle cx="200" cy="208" r="136" fill="${body}"/>
<path d="M200 72 a136 136 0 0 1 0 272 Z" fill="${INK}" opacity=".16"/>
<circle cx="200" cy="208" r="108" fill="${shade}"/>
${ticks(24, 102, 15, INK)}
<path d="M200 142 l14 66 h-28 Z" fill="${INK}" opacity=".16" transform="rotate(90 200 208)"/>
<g transform="rotate(28 200 208)"><path d="M200 118 L222 208 H178 Z" fill="${accent}"/><path d="M200 298 L222 208 H178 Z" fill="${INK}"/></g>
<circle cx="200" cy="208" r="11" fill="${body}"/>`;

const clock: Shape = (body, shade, accent) => `
<circle cx="200" cy="208" r="140" fill="#c08a4c"/><circle cx="200" cy="208" r="122" fill="${body}"/>
<path d="M82 226 q30 -30 59 0 t59 0 t59 0 t59 0 A122 122 0 0 1 82 226 Z" fill="${shade}"/>
<path d="M96 262 q26 -24 52 0 t52 0 t52 0 t52 0 A122 122 0 0 1 96 262 Z" fill="#fff" opacity=".5"/>
${ticks(12, 112, 14, "#ffffff")}
<circle cx="200" cy="138" r="17" fill="${accent}"/><circle cx="208" cy="134" r="14" fill="${body}"/>
<g transform="rotate(58 200 208)"><path d="M200 106 l13 102 h-26 Z" fill="${accent}"/></g>
<circle cx="200" cy="208" r="13" fill="#fff"/>`;

export const chartShapes = { map, notebook, compass, clock };
