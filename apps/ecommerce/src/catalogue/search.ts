import { products } from "./products";
import type { Product } from "./types";

/** Longer queries are cut: nobody types them by hand. */
export const QUERY_MAX = 80;

function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{Mn}/gu, "").toLowerCase();
}

function tokens(text: string): string[] {
  return fold(text).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
}

/** A word matches another by its beginning; a plural's last letter is let off. */
function matches(word: string, wanted: string): boolean {
  if (word.startsWith(wanted)) return true;
  return wanted.length > 3 && wanted.endsWith("s") && word.startsWith(wanted.slice(0, -1));
}

function score(product: Product, wanted: readonly string[]): number {
  const fields: [string, number][] = [
    [product.name, 5],
    [product.category, 3],
    [product.brand, 3],
    [product.words, 2],
    [product.variant, 2],
    [product.description, 1],
  ];
  const folded = fields.map(([text, weight]) => ({ words: tokens(text), weight }));
  let sum = 0;
  for (const want of wanted) {
    const best = Math.max(0, ...folded.map((field) => (field.words.some((word) => matches(word, want)) ? field.weight : 0)));
    if (best === 0) return 0;
    sum += best;
  }
  return sum;
}

/** Products that hold every word of the query, the best first; ties keep the catalogue's order. */
export function search(query: string): readonly Product[] {
  const wanted = tokens(query.slice(0, QUERY_MAX));
  if (wanted.length === 0) return [];
  return products
    .map((product) => ({ product, score: score(product, wanted) }))
    .filter((hit) => hit.score > 0)
    .sort((a, b) => b.score - a.score)
    .map((hit) => hit.product);
}
