/** The upper edge of a coloured block: a row of waves. */
export function Waves({ colour }: { colour: string }) {
  return (
    <svg className="waves" viewBox="0 0 4000 24" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <path d={`M0 14 ${Array.from({ length: 50 }, () => "q20 -20 40 0 t40 0").join(" ")} V24 H0 Z`} fill={colour} />
    </svg>
  );
}
