import type { Product } from "@/catalogue/types";

/** A product's picture, from this shop's own route. Its size is set, so nothing moves when it comes. */
export function Picture({ product, size, eager = false }: { product: Product; size: number; eager?: boolean }) {
  return (
    <img
      className="picture" src={`/pictures/${product.id}.svg`} width={size} height={size} decoding="async"
      loading={eager ? "eager" : "lazy"} alt={`Drawing: ${product.name}, ${product.variant}`}
    />
  );
}
