/** The one currency of the shop, ISO 4217. */
export const CURRENCY = "EUR";

/** Value-added tax that every price already holds. */
export const TAX_RATE = 0.21;

/** Cents as an amount with at most two decimals, as events carry it: 17298 is 172.98. */
export function toAmount(cents: number): number {
  return Math.round(cents) / 100;
}

/** A part of an amount, to the cent, half up: what 10 % of 1995 cents is. */
export function share(cents: number, rate: number): number {
  // Number.EPSILON keeps a product such as 1.005 * 100 from falling under its half.
  return Math.round(cents * rate * (1 + Number.EPSILON));
}

/** The tax inside an amount that includes it. */
export function taxWithin(cents: number): number {
  return cents - Math.round(cents / (1 + TAX_RATE));
}

/** An amount for people to read: €1,234.50. */
export function formatCents(cents: number): string {
  const sign = cents < 0 ? "−" : "";
  const whole = Math.floor(Math.abs(cents) / 100).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  return `${sign}€${whole}.${(Math.abs(cents) % 100).toString().padStart(2, "0")}`;
}
