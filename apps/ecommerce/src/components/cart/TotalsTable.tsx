import type { Totals } from "@/cart/order";
import { formatCents } from "@/catalogue/money";

/** What it comes to, line by line. */
export function TotalsTable({ totals, coupon }: { totals: Totals; coupon?: string | undefined }) {
  return (
    <dl className="totals">
      <div><dt>Goods</dt><dd>{formatCents(totals.goodsCents)}</dd></div>
      {totals.discountCents > 0 && <div><dt>Code {coupon}</dt><dd>{formatCents(-totals.discountCents)}</dd></div>}
      <div><dt>Delivery</dt><dd>{totals.deliveryCents === 0 ? "free" : formatCents(totals.deliveryCents)}</dd></div>
      <div className="totals-pay"><dt>Total</dt><dd>{formatCents(totals.payCents)}</dd></div>
      <div className="totals-tax"><dt>of which VAT, 21 %</dt><dd>{formatCents(totals.taxCents)}</dd></div>
    </dl>
  );
}
