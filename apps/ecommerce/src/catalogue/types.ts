/** A category of the shop. Its name is what events carry, as a product's category and as a list's name. */
export type Category = {
  slug: string;
  name: string;
  /** One sentence under the heading. */
  blurb: string;
  /** The background of its pictures, and text that is readable on it. */
  field: string;
  onField: string;
};

export type Stock = "in stock" | "low stock" | "out of stock";

/** A product. Money is in cents of the shop's one currency. */
export type Product = {
  id: string;
  name: string;
  category: string;
  brand: string;
  priceCents: number;
  /** The price before a reduction. */
  listPriceCents?: number;
  stock: Stock;
  /** Sizes to choose from; none means that there is only one. */
  sizes?: readonly string[];
  /** Its colour, in words. */
  variant: string;
  description: string;
  /** Two or three facts in short. */
  facts: readonly string[];
  /** Further words by which the search finds it. */
  words: string;
  /** Which drawing shows it, and in which colours. */
  picture: { shape: string; colours: readonly [string, string, string] };
};

/** A named list of products, as events carry it. */
export type ProductList = { name: string; products: readonly Product[] };

/** A promotion that is shown in one slot of the shop. */
export type Promotion = {
  id: string;
  name: string;
  creativeId: string;
  type: "hero" | "strip" | "card";
  slot: string;
  position: number;
  productIds: readonly string[];
  href: string;
  title: string;
  text: string;
  action: string;
};
