"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { cartStore, draftStore, placeOrder } from "@/cart/actions";
import { pricedLines } from "@/cart/cart";
import { payments } from "@/cart/checkout";
import { deliveryById } from "@/cart/delivery";
import { useStored } from "@/cart/useStored";
import { formatCents } from "@/catalogue/money";

/** Last step: everything once more, and the button that orders. */
export function ReviewStep() {
  const router = useRouter();
  const cart = useStored(cartStore);
  const draft = useStored(draftStore);
  const [declined, setDeclined] = useState(false);

  function order() {
    const placed = placeOrder();
    setDeclined(placed === undefined);
    if (placed) router.push(`/order/${placed.id}`);
  }

  return (
    <div>
      <ul className="review-lines">
        {pricedLines(cart.lines).map((line) => (
          <li key={line.key}><span>{line.quantity} × {line.product.name}{line.size ? `, ${line.size}` : ""}</span><span>{formatCents(line.totalCents)}</span></li>
        ))}
      </ul>
      <dl className="review-facts">
        <div><dt>To</dt><dd>{draft.name}, {draft.street}, {draft.postcode} {draft.town}</dd></div>
        <div><dt>By</dt><dd>{deliveryById(draft.deliveryId ?? "").name}</dd></div>
        <div><dt>Paid by</dt><dd>{payments.find((payment) => payment.id === draft.paymentMethod)?.name}</dd></div>
      </dl>
      <p className="alert" role="alert">
        {declined && <>The card was declined: there is nothing on it. <Link href="/checkout/payment">Choose another way to pay</Link></>}
      </p>
      <button type="button" className="button" onClick={order}>Place the order</button>
      <p className="hint">Nothing is charged and nothing is sent.</p>
    </div>
  );
}
