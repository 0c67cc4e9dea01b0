import type { Metadata } from "next";
import { CartView } from "@/components/cart/CartView";
import { PageView } from "@/tracking/PageView";

export const metadata: Metadata = { title: "Cart" };

export default function CartPage() {
  return (
    <div className="wrap section">
      <PageView type="cart" title="Cart" />
      <h1>Your cart</h1>
      <CartView />
    </div>
  );
}
