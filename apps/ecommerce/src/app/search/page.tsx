import type { Metadata } from "next";
import Link from "next/link";
import { categories } from "@/catalogue/categories";
import { QUERY_MAX, search } from "@/catalogue/search";
import { ProductGrid } from "@/components/product/ProductGrid";
import { PageView } from "@/tracking/PageView";

type Props = { searchParams: Promise<{ q?: string | string[] }> };

async function queryOf({ searchParams }: Props): Promise<string> {
  const { q } = await searchParams;
  return ((Array.isArray(q) ? q[0] : q) ?? "").trim().slice(0, QUERY_MAX);
}

export async function generateMetadata(props: Props): Promise<Metadata> {
  const query = await queryOf(props);
  return { title: query ? `Search: ${query}` : "Search", robots: { index: false } };
}

export default async function SearchPage(props: Props) {
  const query = await queryOf(props);
  const found = search(query);
  return (
    <div className="wrap section">
      <PageView type="search" title={`Search: ${query}`} of={query} />
      <h1 id="found">{query ? <>“{query}”</> : "Search"}</h1>
      <p className="found-count">{found.length === 1 ? "1 product" : `${found.length} products`}</p>
      {found.length > 0 ? (
        <ProductGrid list={{ name: "Search results", products: found }} labelledBy="found" of={query} eager />
      ) : (
        <div className="nothing">
          <p>{query ? "Nothing washed up under that name. Try one word, or walk through a department:" : "Write what you look for above, or walk through a department:"}</p>
          <ul className="inline-list">
            {categories.map((category) => <li key={category.slug}><Link href={`/category/${category.slug}`}>{category.name}</Link></li>)}
          </ul>
        </div>
      )}
    </div>
  );
}
