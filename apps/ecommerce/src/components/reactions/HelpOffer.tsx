"use client";

import Link from "next/link";
import { related } from "@/catalogue/lists";
import { formatCents } from "@/catalogue/money";
import type { Product } from "@/catalogue/types";
import { viewsOf } from "@/live/rules";
import { useFeature } from "@/live/store";
import { Note } from "./Note";

/** How many other products the comparison holds. */
const COMPARED = 2;

/** Help with a product that was looked at again and again: how it compares, and what people ask. */
export function HelpOffer({ product }: { product: Product }) {
  const views = useFeature((features) => viewsOf(features, product.id));
  const compared = [product, ...related(product, COMPARED)];
  return (
    <Note id={`help:${product.id}`} title={`Can we help with the ${product.name}?`} because={`Shown because return_view_count says ${views} views of this product.`}>
      <details>
        <summary>Compare it with two like it</summary>
        <ul className="compare">
          {compared.map((other) => (
            <li key={other.id}>
              {other.id === product.id ? <b>{other.name}</b> : <Link href={`/product/${other.id}`}>{other.name}</Link>}
              <span>{formatCents(other.priceCents)}</span>
              <small>{other.facts.join(" · ")}</small>
            </li>
          ))}
        </ul>
      </details>
      <details>
        <summary>When does it come, and can it go back?</summary>
        <p>The mail boat takes two to four days. It can go back for any reason, from the page of your order.</p>
      </details>
    </Note>
  );
}
