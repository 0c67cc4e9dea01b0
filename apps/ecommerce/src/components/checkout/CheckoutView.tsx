"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { useEffect } from "react";
import { accountStore } from "@/account/account";
import { cartStore, draftStore } from "@/cart/actions";
import { pieces } from "@/cart/cart";
import { firstOpenStep, type Step, steps } from "@/cart/checkout";
import { deliveries } from "@/cart/delivery";
import { totals } from "@/cart/order";
import { useHydrated, useStored } from "@/cart/useStored";
import { TotalsTable } from "@/components/cart/TotalsTable";
import { checkoutStep } from "@/tracking/payloads";
import { shop } from "@/tracking/tracker";
import { AddressStep } from "./AddressStep";
import { DeliveryStep } from "./DeliveryStep";
import { PaymentStep } from "./PaymentStep";
import { ReviewStep } from "./ReviewStep";
import { StepList } from "./StepList";

const titles: Readonly<Record<Step, string>> = {
  address: "Where to?", delivery: "How shall it come?", payment: "How will you pay?", review: "All as it should be?",
};
const forms = { address: AddressStep, delivery: DeliveryStep, payment: PaymentStep, review: ReviewStep } as const;

/** One step of the checkout. A step whose predecessors are not filled in sends back to the first open one. */
export function CheckoutView({ step }: { step: Step }) {
  const router = useRouter();
  const hydrated = useHydrated();
  const cart = useStored(cartStore);
  const draft = useStored(draftStore);
  const empty = pieces(cart) === 0;
  const open = firstOpenStep(draft);
  const allowed = !empty && steps.indexOf(step) <= steps.indexOf(open);

  useEffect(() => {
    if (!hydrated || empty) return;
    if (!allowed) {
      router.replace(`/checkout/${open}`);
      return;
    }
    if (shop.pageView("checkout", `Checkout: ${step}`)) shop.checkoutStep(checkoutStep(step, draftStore.get(), accountStore.get() !== null));
  }, [hydrated, empty, allowed, open, step, router]);

  if (!hydrated) return <div className="cart-waiting" aria-busy="true" />;
  if (empty) {
    return (
      <div className="nothing">
        <h1>Checkout</h1>
        <p>There is nothing in your cart to check out.</p>
        <p><Link href="/" className="button">Look around</Link></p>
      </div>
    );
  }
  const StepForm = forms[step];
  return (
    <>
      <StepList current={step} open={open} />
      <div className="cart">
        <div className="checkout-form">
          <h1>{titles[step]}</h1>
          <StepForm onDone={() => router.push(`/checkout/${steps[steps.indexOf(step) + 1] ?? "review"}`)} />
        </div>
        <section className="summary" aria-label="Summary">
          <p className="summary-count">{pieces(cart)} {pieces(cart) === 1 ? "piece" : "pieces"} · <Link href="/cart">Change</Link></p>
          <TotalsTable totals={totals(cart.lines, draft.deliveryId ?? deliveries[0]?.id ?? "", draft.coupon)} coupon={draft.coupon} />
        </section>
      </div>
    </>
  );
}
