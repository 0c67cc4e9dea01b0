import { share, taxWithin } from "@/catalogue/money";
import { type CartLine, pricedLines } from "./cart";
import { deliveryById } from "./delivery";

/** The one code that the shop honours, and what it takes off each line. */
export const COUPON = { code: "SPRINGTIDE", rate: 0.1 } as const;

/** The code as the shop writes it if it honours it. */
export function couponCode(text: string): string | undefined {
  return text.trim().toUpperCase() === COUPON.code ? COUPON.code : undefined;
}

/** A line as it was bought. `paidCents` is after the discount, so that lines add up to the order. */
export type OrderLine = CartLine & { key: string; name: string; unitCents: number; paidCents: number; refunded: boolean };

/** What the cart costs with delivery, discount and the tax within. All in cents. */
export type Totals = { goodsCents: number; discountCents: number; deliveryCents: number; taxCents: number; payCents: number };

/** An order as the shop remembers it, in the browser alone. */
export type Order = {
  id: string;
  placedAt: number;
  lines: readonly OrderLine[];
  totals: Totals;
  deliveryId: string;
  paymentMethod: string;
  coupon?: string;
};

/** The lines of an order, each with its own part of the discount. */
export function orderLines(lines: readonly CartLine[], coupon: string | undefined): readonly OrderLine[] {
  return pricedLines(lines).map((line) => ({
    productId: line.productId,
    ...(line.size ? { size: line.size } : {}),
    quantity: line.quantity,
    key: line.key,
    name: line.product.name,
    unitCents: line.product.priceCents,
    paidCents: line.totalCents - (coupon ? share(line.totalCents, COUPON.rate) : 0),
    refunded: false,
  }));
}

/** What is to be paid for these lines. */
export function totals(lines: readonly CartLine[], deliveryId: string, coupon: string | undefined): Totals {
  const bought = orderLines(lines, coupon);
  const goodsCents = bought.reduce((sum, line) => sum + line.unitCents * line.quantity, 0);
  const paidCents = bought.reduce((sum, line) => sum + line.paidCents, 0);
  const deliveryCents = bought.length === 0 ? 0 : deliveryById(deliveryId).priceOf(paidCents);
  const payCents = paidCents + deliveryCents;
  return { goodsCents, discountCents: goodsCents - paidCents, deliveryCents, taxCents: taxWithin(payCents), payCents };
}

/** A new order's id: the time and chance in base 36, so that it reads well on the phone. */
export function orderId(now: number, random: number): string {
  const tail = Math.floor(random * 36 ** 4).toString(36).padStart(4, "0");
  return `OH-${now.toString(36)}-${tail}`.toUpperCase();
}

/** What is given back for these lines, and the order afterwards. A line is given back once. */
export function refund(order: Order, keys: readonly string[]): { order: Order; refundCents: number; lines: readonly OrderLine[] } {
  const wanted = new Set(keys);
  const lines = order.lines.filter((line) => wanted.has(line.key) && !line.refunded);
  const done = new Set(lines.map((line) => line.key));
  return {
    order: { ...order, lines: order.lines.map((line) => (done.has(line.key) ? { ...line, refunded: true } : line)) },
    refundCents: lines.reduce((sum, line) => sum + line.paidCents, 0),
    lines,
  };
}
