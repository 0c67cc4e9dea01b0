import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { categories, categoryBySlug } from "@/catalogue/categories";
import { productsOf } from "@/catalogue/products";
import { Flag } from "@/components/art/Flag";
import { ProductGrid } from "@/components/product/ProductGrid";
import { PromoCard } from "@/components/promo/Promotions";
import { FavouriteMark } from "@/components/reactions/FavouriteMark";
import { PageView } from "@/tracking/PageView";

type Props = { params: Promise<{ slug: string }> };

export const dynamicParams = false;

export function generateStaticParams() {
  return categories.map(({ slug }) => ({ slug }));
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const category = categoryBySlug((await params).slug);
  return { title: category?.name ?? "Not found", description: category?.blurb ?? "" };
}

export default async function CategoryPage({ params }: Props) {
  const category = categoryBySlug((await params).slug);
  if (!category) notFound();
  return (
    <>
      <PageView type="category" title={category.name} />
      <div className="band" style={{ background: category.field, color: category.onField }}>
        <div className="wrap band-row">
          <Flag letter={category.name.charAt(0)} size={72} className="band-flag" />
          <div>
            <h1 id="category">{category.name} <FavouriteMark category={category.name} /></h1>
            <p>{category.blurb}</p>
          </div>
        </div>
      </div>
      <div className="wrap section">
        <ProductGrid
          list={{ name: category.name, products: productsOf(category.name) }} labelledBy="category" eager
          slot={category.slug === "lanterns" ? undefined : <PromoCard />}
        />
      </div>
    </>
  );
}
