import { categoryByName } from "@/catalogue/categories";
import type { Product } from "@/catalogue/types";
import { chartShapes } from "./charts";
import { galleyShapes } from "./galley";
import { kiteShapes } from "./kites";
import { lanternShapes } from "./lanterns";
import { rainwearShapes } from "./rainwear";
import { scenes } from "./scenes";
import type { Shape } from "./shape";
import { woollenShapes } from "./woollens";

const shapes: Readonly<Record<string, Shape>> = {
  ...rainwearShapes, ...lanternShapes, ...galleyShapes, ...kiteShapes, ...woollenShapes, ...chartShapes,
};

/** The names of all drawings. */
export const shapeNames: readonly string[] = Object.keys(shapes);

/** A product's picture: its drawing before its category's scene, as a whole SVG file. */
export function productPicture(product: Product): string {
  const shape = shapes[product.picture.shape];
  const field = categoryByName(product.category)?.field ?? "#ffffff";
  const drawing = shape ? shape(...product.picture.colours) : "";
  const markup = `<rect width="400" height="400" fill="${field}"/>${scenes[product.category] ?? ""}${drawing}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400">${markup.replace(/\n/g, "")}</svg>`;
}
