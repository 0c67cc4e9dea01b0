import { productById, products, productsOf } from "./products";
import type { Product, ProductList } from "./types";

function pick(...ids: string[]): readonly Product[] {
  return ids.flatMap((id) => productById(id) ?? []);
}

/** The named lists of the home page. */
export const homeLists: readonly ProductList[] = [
  { name: "This tide", products: pick("squall-coat", "keeper-lamp", "slack-tide-kettle", "herring-kite") },
  { name: "New ashore", products: pick("tide-clock", "rockpool-bowl", "hatch-lantern", "dogwatch-socks", "parcel-kite", "sighting-book", "anchorage-mug", "gale-umbrella") },
  { name: "Reduced", products: products.filter((product) => product.listPriceCents !== undefined).slice(0, 4) },
];

/** How many related products a product page shows. */
export const RELATED_MAX = 4;

/** Products like this one, of its category: those of its kind first, then the nearest in price. */
export function related(product: Product, count = RELATED_MAX): readonly Product[] {
  const otherKind = (other: Product) => Number(other.picture.shape !== product.picture.shape);
  const distance = (other: Product) => Math.abs(other.priceCents - product.priceCents);
  return productsOf(product.category)
    .filter((other) => other.id !== product.id)
    .sort((a, b) => otherKind(a) - otherKind(b) || distance(a) - distance(b) || a.id.localeCompare(b.id))
    .slice(0, count);
}
