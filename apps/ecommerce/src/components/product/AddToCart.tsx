"use client";

import Link from "next/link";
import { useId, useState } from "react";
import { addToCart, cartStore } from "@/cart/actions";
import { cartTotalCents, LINE_QUANTITY_MAX } from "@/cart/cart";
import { formatCents } from "@/catalogue/money";

type Props = { productId: string; sizes?: readonly string[] | undefined; available: boolean };

/** Choice of size, the button, and what came of it. */
export function AddToCart({ productId, sizes, available }: Props) {
  const [size, setSize] = useState(sizes?.[Math.floor(sizes.length / 2)]);
  const [said, setSaid] = useState<{ text: string; added: boolean }>();
  const group = useId();

  function add() {
    const added = addToCart({ productId, ...(size ? { size } : {}) }, 1) > 0;
    const total = formatCents(cartTotalCents(cartStore.get()));
    setSaid(added ? { text: `In your cart. It now comes to ${total}.`, added } : { text: `${LINE_QUANTITY_MAX} of one kind is all we have.`, added });
  }

  return (
    <div className="buy">
      {sizes && (
        <fieldset className="sizes">
          <legend>Size</legend>
          {sizes.map((option) => (
            <label key={option}>
              <input type="radio" name={group} value={option} checked={option === size} onChange={() => setSize(option)} />
              <span>{option}</span>
            </label>
          ))}
        </fieldset>
      )}
      <button type="button" className="button button-wide" onClick={add} disabled={!available}>
        {available ? "Put into the cart" : "Sold out"}
      </button>
      <p className="buy-said" role="status">
        {said && <>{said.text} {said.added && <Link href="/cart">See the cart</Link>}</>}
      </p>
    </div>
  );
}
