/** A lobster pot with nothing in it. */
export function EmptyBasket() {
  return (
    <svg width="180" height="140" viewBox="0 0 180 140" aria-hidden="true">
      <path d="M20 112 V72 Q20 24 90 24 Q160 24 160 72 V112 Z" fill="#a9dcd3" stroke="#0b2036" strokeWidth="5" />
      <path d="M55 112 V32 M90 112 V24 M125 112 V32 M20 72 H160 M24 50 H156 M20 94 H160" stroke="#0b2036" strokeWidth="3" />
      <circle cx="90" cy="74" r="22" fill="#f4f7f6" stroke="#0b2036" strokeWidth="5" />
      <path d="M8 116 H172" stroke="#0b2036" strokeWidth="9" strokeLinecap="round" />
      <path d="M90 24 q14 -26 46 -16" fill="none" stroke="#d93a2b" strokeWidth="5" />
    </svg>
  );
}
