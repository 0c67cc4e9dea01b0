import { charts } from "./charts";
import { galley } from "./galley";
import { kites } from "./kites";
import { lanterns } from "./lanterns";
import { rainwear } from "./rainwear";
import { woollens } from "./woollens";
import type { Product } from "../types";

/** Everything the shop sells, department by department. */
export const products: readonly Product[] = [...rainwear, ...lanterns, ...galley, ...kites, ...woollens, ...charts];

const byId = new Map(products.map((product) => [product.id, product]));

/** The product with this id, if the shop has it. */
export function productById(id: string): Product | undefined {
  return byId.get(id);
}

/** The products of one category, by its name. */
export function productsOf(category: string): readonly Product[] {
  return products.filter((product) => product.category === category);
}
