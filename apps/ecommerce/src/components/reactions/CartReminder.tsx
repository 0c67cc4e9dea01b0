"use client";

import Link from "next/link";
import { addToCart, cartStore } from "@/cart/actions";
import { lineKey, pricedLines } from "@/cart/cart";
import { useStored } from "@/cart/useStored";
import { Note } from "./Note";

/** For a shopper who puts in and takes out by turns: nothing is lost, and one click brings it back. */
export function CartReminder() {
  const cart = useStored(cartStore);
  const aside = pricedLines(cart.setAside).slice(0, 2);
  return (
    <Note id="cart-reminder" title="Still making up your mind?" because="Shown because cart_add_count and cart_remove_count rise by turns.">
      <p>Take your time. Your <Link href="/cart">cart</Link> waits in this browser{aside.length > 0 ? ", and what you took out is not lost:" : ", and nothing in it runs out tonight."}</p>
      {aside.length > 0 && (
        <ul className="aside-list">
          {aside.map((line) => (
            <li key={lineKey(line)}>
              <span>{line.product.name}{line.size ? `, ${line.size}` : ""}</span>
              <button type="button" className="button-small" onClick={() => addToCart(line, line.quantity)}>
                Put back<span className="visually-hidden"> {line.product.name}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </Note>
  );
}
