import Link from "next/link";
import type { Product } from "@/catalogue/types";
import { Picture } from "./Picture";
import { Price } from "./Price";

/** A product in a list. The whole card is one link; `data-product` tells the list which was clicked. */
export function ProductCard({ product, eager = false }: { product: Product; eager?: boolean }) {
  return (
    <Link href={`/product/${product.id}`} className="card" data-product={product.id}>
      <span className="card-picture">
        <Picture product={product} size={400} eager={eager} />
        {product.listPriceCents !== undefined && <span className="tag tag-reduced">Reduced</span>}
        {product.stock === "out of stock" && <span className="tag tag-gone">Sold out</span>}
      </span>
      <span className="card-name">{product.name}</span>
      <span className="card-brand">{product.brand}</span>
      <Price product={product} />
    </Link>
  );
}
