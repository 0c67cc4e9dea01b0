import { categories } from "@/catalogue/categories";
import type { Feature } from "./state";
import type { Value } from "./types";

/** From this view on, help is offered. */
export const HELP_VIEWS = 3;
/** This many adds and as many removals, and the shopper seems to waver. */
export const WAVER_MIN = 2;

type Features = ReadonlyMap<string, Feature>;

function value(features: Features, id: string): Value {
  return features.get(id)?.value ?? null;
}

function count(features: Features, id: string): number {
  const found = value(features, id);
  return typeof found === "number" ? found : 0;
}

function countIn(map: Value, key: string): number {
  if (map === null || typeof map !== "object" || Array.isArray(map)) return 0;
  const found = (map as Readonly<Record<string, Value>>)[key];
  return typeof found === "number" ? found : 0;
}

/** How often the shopper has viewed this product lately. */
export function viewsOf(features: Features, productId: string): number {
  return Math.max(
    countIn(value(features, "product_features_5m.return_view_count"), productId),
    countIn(value(features, "product_features_1h.return_view_count"), productId),
  );
}

/** Help is offered on the third view of the same product. */
export function needsHelp(features: Features, productId: string): boolean {
  return viewsOf(features, productId) >= HELP_VIEWS;
}

/**
 * The name of the category that the shopper browses most. The engine's own answer counts names of lists
 * too, "Reduced" for one: where it is not a category, the most viewed one of the hour is taken.
 */
export function topCategory(features: Features): string | null {
  const names = categories.map((category) => category.name);
  const top = value(features, "category_features_1h.top_category");
  if (typeof top === "string" && names.includes(top)) return top;
  const views = value(features, "category_features_1h.category_view_count");
  const ranked = names.map((name) => ({ name, views: countIn(views, name) })).filter((entry) => entry.views > 0);
  return ranked.sort((a, b) => b.views - a.views)[0]?.name ?? null;
}

/** Things go in and out of the cart by turns: both often, and neither over twice as often as the other. */
export function wavers(features: Features): boolean {
  const adds = count(features, "cart_features_5m.cart_add_count");
  const removes = count(features, "cart_features_5m.cart_remove_count");
  return Math.min(adds, removes) >= WAVER_MIN && Math.max(adds, removes) <= 2 * Math.min(adds, removes);
}
