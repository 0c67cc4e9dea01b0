/** Signal flags of the International Code, as far as this shop spells with them, in a square of 24. */
const flags: Readonly<Record<string, readonly (readonly [path: string, colour: string])[]>> = {
  A: [["M0 0h12v24H0z", "#fff"], ["M12 0h12l-5 12 5 12H12z", "#1b5fae"]],
  B: [["M0 0h24l-5 12 5 12H0z", "#d93a2b"]],
  C: [["M0 0h24v24H0z", "#1b5fae"], ["M0 5h24v14H0z", "#fff"], ["M0 9.5h24v5H0z", "#d93a2b"]],
  D: [["M0 0h24v24H0z", "#ffc933"], ["M0 6h24v12H0z", "#1b5fae"]],
  G: [["M0 0h24v24H0z", "#ffc933"], ["M4 0h4v24H4zM12 0h4v24h-4zM20 0h4v24h-4z", "#1b5fae"]],
  H: [["M0 0h12v24H0z", "#fff"], ["M12 0h12v24H12z", "#d93a2b"]],
  K: [["M0 0h12v24H0z", "#ffc933"], ["M12 0h12v24H12z", "#1b5fae"]],
  L: [["M0 0h24v24H0z", "#ffc933"], ["M12 0h12v12H12zM0 12h12v12H0z", "#0b2036"]],
  O: [["M0 0h24v24H0z", "#d93a2b"], ["M0 0v24h24z", "#ffc933"]],
  R: [["M0 0h24v24H0z", "#d93a2b"], ["M9.5 0h5v24h-5zM0 9.5h24v5H0z", "#ffc933"]],
  U: [["M0 0h24v24H0z", "#fff"], ["M0 0h12v12H0zM12 12h12v12H12z", "#d93a2b"]],
  W: [["M0 0h24v24H0z", "#1b5fae"], ["M5 5h14v14H5z", "#fff"], ["M9.5 9.5h5v5h-5z", "#d93a2b"]],
};

/** One letter's flag. It decorates: the word stands beside it. */
export function Flag({ letter, size = 24, className }: { letter: string; size?: number; className?: string }) {
  return (
    <svg className={className} width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      {flags[letter.toUpperCase()]?.map(([path, colour]) => <path key={path} d={path} fill={colour} />)}
    </svg>
  );
}

/** A word in flags, hung from a rope. */
export function FlagWord({ word, size = 14 }: { word: string; size?: number }) {
  return (
    <span className="flag-word" aria-hidden="true">
      {Array.from(word, (letter, index) => <Flag key={index} letter={letter} size={size} />)}
    </span>
  );
}
