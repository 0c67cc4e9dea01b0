"use client";

import { productById } from "@/catalogue/products";
import { addedToCart, removedFromCart, transactionMade, refundMade, transactionFailed } from "@/tracking/payloads";
import { shop } from "@/tracking/tracker";
import { addLine, type CartLine, type Cart, emptyCart, readCart, setQuantity } from "./cart";
import { type Draft, emptyDraft, payments } from "./checkout";
import { type Order, orderId, orderLines, refund, totals } from "./order";
import { stored } from "./storage";

function newCartId(): string {
  return `cart-${Date.now().toString(36)}-${Math.floor(Math.random() * 36 ** 6).toString(36)}`;
}

/** The shopper's cart. */
export const cartStore = stored<Cart>({ key: "oddharbour.cart", initial: emptyCart(""), read: (value) => readCart(value, newCartId()) });

/** What the checkout knows so far. */
export const draftStore = stored<Draft>({
  key: "oddharbour.checkout", initial: emptyDraft, session: true,
  read: (value) => ({ ...emptyDraft, ...(typeof value === "object" && value !== null ? value : {}) }),
});

/** Orders of this browser, the newest first. */
export const orderStore = stored<readonly Order[]>({
  key: "oddharbour.orders", initial: [], read: (value) => (Array.isArray(value) ? (value as Order[]) : []),
});

/** How many orders a browser remembers. */
const ORDERS_MAX = 20;

function apply({ cart, delta }: { cart: Cart; delta: number }, line: Omit<CartLine, "quantity">): number {
  const product = productById(line.productId);
  if (delta === 0 || !product) return 0;
  cartStore.set(cart);
  const change = { product, size: line.size, quantity: Math.abs(delta) };
  if (delta > 0) shop.addToCart(addedToCart(change, cart));
  else shop.removeFromCart(removedFromCart(change, cart));
  return delta;
}

/** Puts more of a line into the cart; returns how many really went in. */
export function addToCart(line: Omit<CartLine, "quantity">, quantity: number): number {
  return apply(addLine(cartStore.get(), line, quantity), line);
}

/** Sets a line's quantity; 0 takes it out. */
export function changeQuantity(line: Omit<CartLine, "quantity">, quantity: number): number {
  return apply(setQuantity(cartStore.get(), line, quantity), line);
}

/** Places the order that the cart and the draft make. Nothing if the payment is declined. */
export function placeOrder(): Order | undefined {
  const cart = cartStore.get();
  const draft = draftStore.get();
  const paymentMethod = draft.paymentMethod ?? payments[0].id;
  const deliveryId = draft.deliveryId ?? "";
  const order: Order = {
    id: orderId(Date.now(), Math.random()),
    placedAt: Date.now(),
    lines: orderLines(cart.lines, draft.coupon),
    totals: totals(cart.lines, deliveryId, draft.coupon),
    deliveryId,
    paymentMethod,
    ...(draft.coupon ? { coupon: draft.coupon } : {}),
  };
  if (payments.some((payment) => payment.id === paymentMethod && payment.declined)) {
    shop.transactionError(transactionFailed(order));
    return undefined;
  }
  shop.transaction(transactionMade(order));
  orderStore.set([order, ...orderStore.get()].slice(0, ORDERS_MAX));
  cartStore.set(emptyCart(newCartId()));
  draftStore.set(emptyDraft);
  return order;
}

/** Gives lines of an order back; returns the cents that are refunded. */
export function refundLines(id: string, keys: readonly string[], reason: string): number {
  const order = orderStore.get().find((candidate) => candidate.id === id);
  if (!order) return 0;
  const result = refund(order, keys);
  if (result.lines.length === 0) return 0;
  orderStore.set(orderStore.get().map((other) => (other.id === id ? result.order : other)));
  shop.refund(refundMade(order, result.lines, result.refundCents, reason));
  return result.refundCents;
}
