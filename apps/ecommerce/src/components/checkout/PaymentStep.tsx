"use client";

import { type FormEvent, useState } from "react";
import { draftStore } from "@/cart/actions";
import { payments } from "@/cart/checkout";
import { Choice } from "./Choice";

/** Third step: the way to pay. */
export function PaymentStep({ onDone }: { onDone: () => void }) {
  const [chosen, setChosen] = useState<string>(draftStore.get().paymentMethod ?? payments[0].id);

  function submit(event: FormEvent) {
    event.preventDefault();
    draftStore.set({ ...draftStore.get(), paymentMethod: chosen });
    onDone();
  }

  return (
    <form onSubmit={submit}>
      <Choice legend="Payment" group="payment" options={payments} chosen={chosen} onChoose={setChosen} />
      <button type="submit" className="button">On to the review</button>
    </form>
  );
}
