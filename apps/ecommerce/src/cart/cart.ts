import { productById } from "@/catalogue/products";
import type { Product } from "@/catalogue/types";

/** Of one line, at most this many. */
export const LINE_QUANTITY_MAX = 9;

/** One product in one size. */
export type CartLine = { productId: string; size?: string; quantity: number };

/** What the shopper means to buy, and what was taken out again lately, the newest first. */
export type Cart = { id: string; lines: readonly CartLine[]; setAside: readonly CartLine[] };

/** A line with its product and its price. */
export type PricedLine = CartLine & { key: string; product: Product; totalCents: number };

/** How many removed lines are remembered, so that they can be put back. */
export const SET_ASIDE_MAX = 4;

/** The cart before anything is in it. */
export function emptyCart(id: string): Cart {
  return { id, lines: [], setAside: [] };
}

/** What tells two lines apart: product and size. */
export function lineKey(line: Pick<CartLine, "productId" | "size">): string {
  return line.size ? `${line.productId}/${line.size}` : line.productId;
}

function whole(quantity: number): number {
  return Number.isFinite(quantity) ? Math.max(0, Math.min(LINE_QUANTITY_MAX, Math.trunc(quantity))) : 0;
}

/**
 * The cart after an action that sets a line's quantity; 0 takes the line out. `delta` is by how much
 * the quantity really changed, which is what an event must say.
 */
export function setQuantity(cart: Cart, line: Omit<CartLine, "quantity">, quantity: number): { cart: Cart; delta: number } {
  const key = lineKey(line);
  const before = cart.lines.find((other) => lineKey(other) === key)?.quantity ?? 0;
  const after = whole(quantity);
  if (after === before) return { cart, delta: 0 };
  const next: CartLine = { productId: line.productId, ...(line.size ? { size: line.size } : {}), quantity: after };
  const others = (lines: readonly CartLine[]) => lines.filter((other) => lineKey(other) !== key);
  let lines: readonly CartLine[];
  if (after === 0) lines = others(cart.lines);
  else if (before === 0) lines = [...cart.lines, next];
  else lines = cart.lines.map((other) => (lineKey(other) === key ? next : other));
  const aside = others(cart.setAside);
  const setAside = after === 0 ? [{ ...next, quantity: before }, ...aside].slice(0, SET_ASIDE_MAX) : aside;
  return { cart: { ...cart, lines, setAside }, delta: after - before };
}

/** The cart with `quantity` more of a line. */
export function addLine(cart: Cart, line: Omit<CartLine, "quantity">, quantity: number): { cart: Cart; delta: number } {
  const before = cart.lines.find((other) => lineKey(other) === lineKey(line))?.quantity ?? 0;
  return setQuantity(cart, line, before + whole(quantity));
}

/** The lines with their products. A product that the shop no longer has is left out. */
export function pricedLines(lines: readonly CartLine[]): readonly PricedLine[] {
  return lines.flatMap((line) => {
    const product = productById(line.productId);
    return product ? [{ ...line, key: lineKey(line), product, totalCents: product.priceCents * line.quantity }] : [];
  });
}

/** The value of all lines, before delivery and discount. */
export function cartTotalCents(cart: Cart): number {
  return pricedLines(cart.lines).reduce((sum, line) => sum + line.totalCents, 0);
}

/** How many pieces the cart holds. */
export function pieces(cart: Cart): number {
  return pricedLines(cart.lines).reduce((sum, line) => sum + line.quantity, 0);
}

/** A cart read back from storage: whatever it holds, the result is a cart. */
export function readCart(stored: unknown, id: string): Cart {
  if (typeof stored !== "object" || stored === null) return emptyCart(id);
  const { id: storedId, lines, setAside } = stored as Record<string, unknown>;
  const clean = (value: unknown) => (Array.isArray(value) ? value.flatMap(readLine) : []);
  return {
    id: typeof storedId === "string" && storedId !== "" ? storedId : id,
    lines: clean(lines),
    setAside: clean(setAside).slice(0, SET_ASIDE_MAX),
  };
}

function readLine(value: unknown): CartLine[] {
  if (typeof value !== "object" || value === null) return [];
  const { productId, size, quantity } = value as Record<string, unknown>;
  if (typeof productId !== "string" || !productById(productId) || typeof quantity !== "number") return [];
  const count = whole(quantity);
  if (count === 0) return [];
  return [{ productId, ...(typeof size === "string" && size !== "" ? { size } : {}), quantity: count }];
}
