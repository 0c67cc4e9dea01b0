"use client";

import Link from "next/link";
import { orderStore } from "@/cart/actions";
import { deliveryById } from "@/cart/delivery";
import { useHydrated, useStored } from "@/cart/useStored";
import { TotalsTable } from "@/components/cart/TotalsTable";
import { FlagWord } from "@/components/art/Flag";
import { RefundForm } from "./RefundForm";

/** The confirmation, and later the page of the order. */
export function OrderView({ id }: { id: string }) {
  const hydrated = useHydrated();
  const order = useStored(orderStore).find((candidate) => candidate.id === id);
  if (!hydrated) return <div className="cart-waiting" aria-busy="true" />;
  if (!order) {
    return (
      <div className="nothing">
        <h1>No such order</h1>
        <p>This browser does not know an order {id}. Orders stay in the browser that placed them.</p>
        <p><Link href="/" className="button">Back to the harbour</Link></p>
      </div>
    );
  }
  return (
    <>
      <div className="order-head">
        <FlagWord word="HARBOUR" size={28} />
        <h1>Thank you. It is on the quay.</h1>
        <p>Order <code>{order.id}</code>, by {deliveryById(order.deliveryId).name}. You need not do anything, and nothing will come: this shop is a demonstration.</p>
      </div>
      <div className="cart">
        <RefundForm order={order} />
        <section className="summary" aria-label="What was paid"><TotalsTable totals={order.totals} coupon={order.coupon} /></section>
      </div>
    </>
  );
}
