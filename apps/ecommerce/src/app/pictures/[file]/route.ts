import { productById, products } from "@/catalogue/products";
import { productPicture } from "@/pictures/product";

export const dynamic = "force-static";
export const dynamicParams = false;

/** All pictures are made when the shop is built. */
export function generateStaticParams() {
  return products.map((product) => ({ file: `${product.id}.svg` }));
}

/** A product's picture as an SVG file. */
export async function GET(_request: Request, { params }: { params: Promise<{ file: string }> }): Promise<Response> {
  const { file } = await params;
  const product = productById(file.replace(/\.svg$/, ""));
  if (!product) return new Response("There is no such picture.\n", { status: 404 });
  return new Response(productPicture(product), { headers: { "content-type": "image/svg+xml", "cache-control": "public, max-age=86400" } });
}
