"use client";

import Link from "next/link";
import { LINE_QUANTITY_MAX, type PricedLine } from "@/cart/cart";
import { formatCents } from "@/catalogue/money";
import { Picture } from "@/components/product/Picture";

/** One line of the cart, with buttons for one more, one fewer, and none. */
export function CartLineRow({ line, onChange }: { line: PricedLine; onChange: (quantity: number) => void }) {
  const name = line.product.name + (line.size ? `, size ${line.size}` : "");
  return (
    <li className="cart-line">
      <Link href={`/product/${line.productId}`} tabIndex={-1} aria-hidden="true"><Picture product={line.product} size={96} eager /></Link>
      <div className="cart-line-name">
        <Link href={`/product/${line.productId}`}>{line.product.name}</Link>
        <span>{line.size ? `Size ${line.size} · ` : ""}{formatCents(line.product.priceCents)} each</span>
      </div>
      <div className="stepper" role="group" aria-label={`How many: ${name}`}>
        <button type="button" onClick={() => onChange(line.quantity - 1)} aria-label={`One fewer: ${name}`}>−</button>
        <output aria-live="polite">{line.quantity}</output>
        <button type="button" onClick={() => onChange(line.quantity + 1)} disabled={line.quantity >= LINE_QUANTITY_MAX} aria-label={`One more: ${name}`}>+</button>
      </div>
      <span className="cart-line-total">{formatCents(line.totalCents)}</span>
      <button type="button" className="link-button" onClick={() => onChange(0)}>Remove<span className="visually-hidden"> {name}</span></button>
    </li>
  );
}
