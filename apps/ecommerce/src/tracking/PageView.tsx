"use client";

import { useEffect } from "react";
import { productById } from "@/catalogue/products";
import { productViewed } from "./payloads";
import { shop } from "./tracker";

type Props = {
  /** The kind of page, as the page entity names it. */
  type: "home" | "category" | "search" | "product" | "cart" | "checkout" | "confirmation" | "login" | "error";
  title: string;
  /** The product that the page shows. */
  productId?: string;
  /** What tells one address from the next where the component stays, as in a search after a search. */
  of?: string;
};

/** Tells of the page that it stands in, once, and of the product that is shown there. */
export function PageView({ type, title, productId, of }: Props) {
  useEffect(() => {
    const fresh = shop.pageView(type, title);
    const product = productId ? productById(productId) : undefined;
    if (fresh && product) shop.productView(productViewed(product));
  }, [type, title, productId, of]);
  return null;
}
