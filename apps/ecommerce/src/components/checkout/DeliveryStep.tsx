"use client";

import { type FormEvent, useState } from "react";
import { cartStore, draftStore } from "@/cart/actions";
import { deliveries, deliveryById } from "@/cart/delivery";
import { totals } from "@/cart/order";
import { formatCents } from "@/catalogue/money";
import { Choice } from "./Choice";

/** Second step: the way of delivery. */
export function DeliveryStep({ onDone }: { onDone: () => void }) {
  const draft = draftStore.get();
  const [chosen, setChosen] = useState(deliveryById(draft.deliveryId ?? "").id);
  const options = deliveries.map(({ id, name, note }) => {
    const { deliveryCents } = totals(cartStore.get().lines, id, draft.coupon);
    return { id, name, note, price: deliveryCents === 0 ? "free" : formatCents(deliveryCents) };
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    draftStore.set({ ...draftStore.get(), deliveryId: chosen });
    onDone();
  }

  return (
    <form onSubmit={submit}>
      <Choice legend="Delivery" group="delivery" options={options} chosen={chosen} onChoose={setChosen} />
      <button type="submit" className="button">On to payment</button>
    </form>
  );
}
