"use client";

import Link from "next/link";
import { changeQuantity, cartStore, draftStore } from "@/cart/actions";
import { lineKey, pricedLines } from "@/cart/cart";
import { deliveries } from "@/cart/delivery";
import { totals } from "@/cart/order";
import { useHydrated, useStored } from "@/cart/useStored";
import { EmptyBasket } from "@/components/art/EmptyBasket";
import { CartLineRow } from "./CartLineRow";
import { CouponForm } from "./CouponForm";
import { SetAside } from "./SetAside";
import { TotalsTable } from "./TotalsTable";

/** The cart: its lines, what was taken out, and what it comes to. */
export function CartView() {
  const cart = useStored(cartStore);
  const draft = useStored(draftStore);
  const hydrated = useHydrated();
  const lines = pricedLines(cart.lines);
  if (!hydrated) return <div className="cart-waiting" aria-busy="true" />;
  if (lines.length === 0) {
    return (
      <div className="cart-empty">
        <EmptyBasket />
        <p>There is nothing in your cart.</p>
        <p><Link href="/" className="button">Look around</Link></p>
        <SetAside lines={cart.setAside} />
      </div>
    );
  }
  return (
    <div className="cart">
      <div>
        <ul className="cart-lines">
          {lines.map((line) => <CartLineRow key={lineKey(line)} line={line} onChange={(quantity) => changeQuantity(line, quantity)} />)}
        </ul>
        <SetAside lines={cart.setAside} />
      </div>
      <section className="summary" aria-label="Summary">
        <TotalsTable totals={totals(cart.lines, draft.deliveryId ?? deliveries[0]?.id ?? "", draft.coupon)} coupon={draft.coupon} />
        <CouponForm />
        <Link href="/checkout/address" className="button button-wide">Check out</Link>
      </section>
    </div>
  );
}
