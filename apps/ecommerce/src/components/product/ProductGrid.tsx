import type { ReactNode } from "react";
import type { ProductList } from "@/catalogue/types";
import { ProductCard } from "./ProductCard";
import { TrackedList } from "./TrackedList";

type Props = { list: ProductList; labelledBy: string; of?: string; eager?: boolean; slot?: ReactNode };

/** A named list of products as a grid. `slot` is something else among them. */
export function ProductGrid({ list, labelledBy, of, eager = false, slot }: Props) {
  return (
    <TrackedList name={list.name} ids={list.products.map((product) => product.id)} of={of ?? list.name} className="grid" labelledBy={labelledBy}>
      {list.products.map((product, index) => (
        <li key={product.id}><ProductCard product={product} eager={eager && index < 4} /></li>
      ))}
      {slot && <li className="grid-slot">{slot}</li>}
    </TrackedList>
  );
}
