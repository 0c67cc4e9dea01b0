import type { Metadata } from "next";
import Link from "next/link";
import { notFound } from "next/navigation";
import { categoryByName } from "@/catalogue/categories";
import { related } from "@/catalogue/lists";
import { productById, products } from "@/catalogue/products";
import { AddToCart } from "@/components/product/AddToCart";
import { Picture } from "@/components/product/Picture";
import { Price } from "@/components/product/Price";
import { ProductGrid } from "@/components/product/ProductGrid";
import { PageView } from "@/tracking/PageView";

type Props = { params: Promise<{ id: string }> };

export const dynamicParams = false;

export function generateStaticParams() {
  return products.map(({ id }) => ({ id }));
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const product = productById((await params).id);
  return { title: product?.name ?? "Not found", description: product?.description ?? "" };
}

export default async function ProductPage({ params }: Props) {
  const product = productById((await params).id);
  if (!product) notFound();
  const category = categoryByName(product.category);
  const others = related(product);
  return (
    <>
      <PageView type="product" title={product.name} productId={product.id} />
      <article className="wrap product">
        <div className="product-picture"><Picture product={product} size={640} eager /></div>
        <div className="product-text">
          {category && <p className="crumbs"><Link href={`/category/${category.slug}`}>{category.name}</Link></p>}
          <h1>{product.name}</h1>
          <p className="product-brand">{product.brand} · {product.variant}</p>
          <p className="product-price"><Price product={product} /></p>
          <p className={`stock stock-${product.stock.split(" ")[0]}`}>{stockText[product.stock]}</p>
          <AddToCart productId={product.id} sizes={product.sizes} available={product.stock !== "out of stock"} />
          <p className="product-description">{product.description}</p>
          <ul className="facts">{product.facts.map((fact) => <li key={fact}>{fact}</li>)}</ul>
        </div>
      </article>
      <section className="wrap section">
        <h2 id="related">You might like</h2>
        <ProductGrid list={{ name: "You might like", products: others }} labelledBy="related" of={product.id} />
      </section>
    </>
  );
}

const stockText = { "in stock": "In stock, on the next boat", "low stock": "Only a few left", "out of stock": "Sold out for now" } as const;
