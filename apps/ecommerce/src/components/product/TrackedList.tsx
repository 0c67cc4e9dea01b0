"use client";

import { type MouseEvent, type ReactNode, useRef } from "react";
import { productById } from "@/catalogue/products";
import type { Product } from "@/catalogue/types";
import { listClicked, listViewed } from "@/tracking/payloads";
import { shop } from "@/tracking/tracker";
import { useSeen } from "@/tracking/useSeen";

type Props = { name: string; ids: readonly string[]; of: string; className: string; labelledBy: string; children: ReactNode };

/** A list that tells when it comes into sight and which of its products is clicked. */
export function TrackedList({ name, ids, of, className, labelledBy, children }: Props) {
  const ref = useRef<HTMLUListElement>(null);
  const products = () => ids.map(productById).filter((product): product is Product => product !== undefined);
  useSeen(ref, of, () => shop.listView(listViewed({ name, products: products() })));

  function onClick(event: MouseEvent<HTMLUListElement>) {
    const id = (event.target as Element).closest<HTMLElement>("[data-product]")?.dataset.product;
    const product = id ? productById(id) : undefined;
    if (product) shop.listClick(listClicked(name, product, ids.indexOf(product.id) + 1));
  }

  return (
    <ul ref={ref} className={className} aria-labelledby={labelledBy} onClick={onClick}>
      {children}
    </ul>
  );
}
