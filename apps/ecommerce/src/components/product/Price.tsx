import { formatCents } from "@/catalogue/money";
import type { Product } from "@/catalogue/types";

/** The price, and the one before it where it was reduced. */
export function Price({ product }: { product: Product }) {
  return (
    <span className="price">
      {product.listPriceCents !== undefined && (
        <>
          <s className="price-before"><span className="visually-hidden">Before: </span>{formatCents(product.listPriceCents)}</s>{" "}
          <span className="visually-hidden">Now: </span>
        </>
      )}
      <span className={product.listPriceCents === undefined ? undefined : "price-reduced"}>{formatCents(product.priceCents)}</span>
    </span>
  );
}
