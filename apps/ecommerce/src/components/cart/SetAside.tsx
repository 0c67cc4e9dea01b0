"use client";

import { addToCart } from "@/cart/actions";
import { type CartLine, lineKey, pricedLines } from "@/cart/cart";

/** What was taken out lately, each with a way back. */
export function SetAside({ lines }: { lines: readonly CartLine[] }) {
  const aside = pricedLines(lines);
  if (aside.length === 0) return null;
  return (
    <section className="set-aside" aria-labelledby="set-aside">
      <h2 id="set-aside">Taken out again</h2>
      <ul className="aside-list">
        {aside.map((line) => (
          <li key={lineKey(line)}>
            <span>{line.product.name}{line.size ? `, ${line.size}` : ""}</span>
            <button type="button" className="button-small" onClick={() => addToCart(line, line.quantity)}>
              Put back<span className="visually-hidden"> {line.product.name}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
