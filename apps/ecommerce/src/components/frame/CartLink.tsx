"use client";

import Link from "next/link";
import { cartStore } from "@/cart/actions";
import { pieces } from "@/cart/cart";
import { useStored } from "@/cart/useStored";

/** The way to the cart, with how much is in it. */
export function CartLink() {
  const count = pieces(useStored(cartStore));
  return (
    <Link href="/cart" className="header-link cart-link">
      <svg width="22" height="20" viewBox="0 0 22 20" aria-hidden="true">
        <path d="M2 8h18l-2.4 12H4.4z" fill="currentColor" />
        <path d="M6 8q0-7 5-7t5 7" fill="none" stroke="currentColor" strokeWidth="2.4" />
      </svg>
      <span className="header-link-text">Cart</span>{" "}
      <span className="cart-count" data-empty={count === 0}>{count}<span className="visually-hidden">{count === 1 ? " piece" : " pieces"}</span></span>
    </Link>
  );
}
