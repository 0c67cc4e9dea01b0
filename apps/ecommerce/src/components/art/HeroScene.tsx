/** The sea goes far beyond the drawing's left edge, under the text. */
const SEA_LEFT = -2400;

function swell(level: number, shift: number): string {
  return `M${SEA_LEFT + shift} ${level} ${"q60 -34 120 0 t120 0 ".repeat(20)} V540 H${SEA_LEFT + shift} Z`;
}

/** The picture beside the first headline: the harbour on the evening before the gale. */
export function HeroScene() {
  return (
    <svg className="hero-scene" viewBox="0 0 720 520" preserveAspectRatio="xMaxYMax meet" aria-hidden="true">
      <defs>
        <linearGradient id="beam" x1="1" x2="0"><stop offset=".1" stopColor="#fff" stopOpacity=".75" /><stop offset="1" stopColor="#fff" stopOpacity="0" /></linearGradient>
      </defs>
      <circle cx="452" cy="222" r="172" fill="#ffc933" />
      <circle cx="452" cy="222" r="128" fill="#ffd95a" />
      <g fill="#0b2036" opacity=".9">
        <rect x="330" y="62" width="330" height="54" rx="27" />
        <rect x="392" y="28" width="150" height="76" rx="38" />
        <rect x="500" y="44" width="116" height="60" rx="30" />
        <rect x="250" y="120" width="190" height="34" rx="17" opacity=".55" />
      </g>
      <g stroke="#0b2036" strokeWidth="5" strokeLinecap="round" opacity=".75">
        {Array.from({ length: 9 }, (_, i) => <path key={i} d={`M${372 + i * 34} ${132 + (i % 3) * 12} l-14 40`} />)}
      </g>
      <path d="M562 180 L120 96 V262 Z" fill="url(#beam)" />
      <g>
        <path d="M552 210 H622 L652 452 H522 Z" fill="#fff" />
        <path d="M546 262 H628 L634 312 H540 Z M530 372 H644 L650 424 H525 Z" fill="#d93a2b" />
        <path d="M594 210 H622 L652 452 H606 Z" fill="#0b2036" opacity=".14" />
        <rect x="540" y="200" width="94" height="14" fill="#0b2036" />
        <rect x="560" y="156" width="54" height="46" fill="#ffe89a" />
        <path d="M574 156 v46 M600 156 v46" stroke="#0b2036" strokeWidth="5" />
        <path d="M548 158 Q587 100 626 158 Z" fill="#d93a2b" />
        <path d="M575 452 v-42 a13 13 0 0 1 26 0 v42 Z" fill="#0b2036" />
        <path d="M440 470 q60 -52 110 -30 h98 q50 -20 90 40 Z" fill="#2e6f62" />
      </g>
      <path d={swell(404, 0)} fill="#5fa8d3" />
      <g className="hero-boat">
        <path d="M252 392 V196" stroke="#0b2036" strokeWidth="8" />
        <path d="M244 206 L150 372 H244 Z" fill="#fff" />
        <path d="M260 226 L336 372 H260 Z" fill="#d93a2b" />
        <path d="M252 196 h34 l-9 12 9 12 h-34 Z" fill="#1b5fae" />
        <path d="M138 388 H362 Q346 446 300 446 H196 Q152 446 138 388 Z" fill="#0b2036" />
        <path d="M150 408 H352" stroke="#ffc933" strokeWidth="7" />
      </g>
      <path d={swell(440, 0)} fill="#1b5fae" />
      <path d={swell(478, -60)} fill="#12355b" />
    </svg>
  );
}
