import { repeat } from "./shape";

/** What lies behind the drawings of a category, over its plain field. */
export const scenes: Readonly<Record<string, string>> = {
  Rainwear: `<circle cx="200" cy="214" r="150" fill="#fff" opacity=".34"/>${repeat(18, (i) => `<path d="M${20 + ((i * 73) % 380)} ${10 + ((i * 127) % 370)} l-10 30" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".7"/>`)}`,
  Lanterns: `<path d="M0 340 q50 -30 100 0 t100 0 t100 0 t100 0 V400 H0 Z" fill="#0b2036"/>${repeat(22, (i) => `<circle cx="${(i * 97) % 400}" cy="${(i * 61) % 300}" r="${1.5 + (i % 3)}" fill="#fff" opacity=".55"/>`)}`,
  Galley: `<rect y="318" width="400" height="82" fill="#f4efe2"/><path d="M0 318 h400" stroke="#0b2036" stroke-width="5"/><circle cx="200" cy="190" r="150" fill="#fff" opacity=".26"/>`,
  Kites: `<g fill="#fff" opacity=".62"><rect x="20" y="92" width="130" height="26" rx="13"/><rect x="54" y="70" width="70" height="34" rx="17"/><rect x="262" y="300" width="150" height="28" rx="14"/><rect x="296" y="276" width="80" height="38" rx="19"/></g>`,
  Woollens: `<g stroke="#fff" stroke-width="7" fill="none" opacity=".2">${repeat(9, (i) => `<path d="M-10 ${10 + i * 48} ${repeat(11, (j) => `l20 ${j % 2 === 0 ? 16 : 16} l20 -16 `)}"/>`)}</g><circle cx="200" cy="206" r="152" fill="#ffe3da" opacity=".55"/>`,
  Charts: `<g fill="none" stroke="#fff" stroke-width="6" opacity=".75">${repeat(6, (i) => `<ellipse cx="214" cy="196" rx="${70 + i * 46}" ry="${48 + i * 40}" transform="rotate(-18 200 200)"/>`)}</g>`,
};
