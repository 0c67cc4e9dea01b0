"use client";

import { type FormEvent, useState } from "react";
import { draftStore } from "@/cart/actions";
import { couponCode } from "@/cart/order";
import { useStored } from "@/cart/useStored";

/** The field for a code. A wrong one is told, and changes nothing. */
export function CouponForm() {
  const draft = useStored(draftStore);
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);

  function submit(event: FormEvent) {
    event.preventDefault();
    const coupon = couponCode(text);
    setWrong(coupon === undefined);
    if (coupon) draftStore.set({ ...draftStore.get(), coupon });
  }

  if (draft.coupon) {
    const { coupon, ...rest } = draft;
    return <p className="coupon-set">Code {coupon} <button type="button" className="link-button" onClick={() => draftStore.set(rest)}>Take off</button></p>;
  }
  return (
    <form className="coupon" onSubmit={submit} noValidate>
      <label htmlFor="coupon">Code</label>
      <div>
        <input id="coupon" value={text} onChange={(event) => setText(event.target.value)} autoComplete="off" aria-invalid={wrong} aria-describedby="coupon-error" />
        <button type="submit" className="button-small">Use</button>
      </div>
      <p id="coupon-error" className="field-error" role="status">{wrong ? "We do not know this code. The strip at the top has one." : ""}</p>
    </form>
  );
}
