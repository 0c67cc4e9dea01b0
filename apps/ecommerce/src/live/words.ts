import type { Feature } from "./state";
import type { Value } from "./types";

const names: Readonly<Record<string, string>> = {
  product_view_count: "Products viewed",
  avg_viewed_price: "Average price viewed",
  return_view_count: "Views of each product",
  price_range_viewed: "Prices viewed",
  most_viewed_brand: "Most viewed brand",
  top_category: "Top category",
  unique_categories: "Categories seen",
  category_view_count: "Views of each category",
  cart_add_count: "Put into the cart",
  cart_remove_count: "Taken out of the cart",
  cart_update_frequency: "Cart changes",
  cart_value: "Cart's value",
  orders_count: "Orders",
  order_value: "Spent",
  avg_order_value: "Average order",
  session_duration: "Length of this visit",
  session_page_count: "Pages in this visit",
  session_bounce: "One page only",
  session_marketing_campaign: "Came by campaign",
  session_cart_ratio: "Adds for each view",
  session_search_count: "Searches",
  shopper_device_types: "Devices",
  shopper_latest_platform: "Platform",
  shopper_locations: "Locations",
  shopper_region_changes: "Changes of location",
  promotions_clicked: "Promotions clicked",
  checkout_furthest_step: "Furthest step of checkout",
  last_seen: "Last seen",
};

const subjects: Readonly<Record<string, string>> = {
  products: "What you looked at",
  categories: "Where you browsed",
  cart: "Your cart",
  purchases: "Your orders",
  sessions: "This visit",
  shoppers: "You over time",
};

function plain(identifier: string): string {
  const text = identifier.replace(/_/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A feature's name for people. One that the shop has never heard of is called by its column. */
export function featureName(column: string): string {
  return names[column] ?? plain(column);
}

/** A query file's subject for people. */
export function subjectName(query: string): string {
  return subjects[query] ?? plain(query);
}

/** A window for people: 5m is "5 min". */
export function windowName(window: string): string {
  const match = /^(\d+)([smhd])$/.exec(window);
  if (!match) return "";
  return `${match[1]} ${{ s: "s", m: "min", h: "h", d: "d" }[match[2] as "s" | "m" | "h" | "d"]}`;
}

const EURO_COLUMNS = new Set(["avg_viewed_price", "cart_value", "order_value", "avg_order_value"]);

/** Milliseconds as a length of time: 83000 is "1 min 23 s". */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long ago, in the largest unit that says enough. */
export function ago(ms: number): string {
  if (ms < 1_500) return "just now";
  if (ms < 60_000) return `${Math.round(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  return `${Math.floor(ms / 3_600_000)} h ago`;
}

/** A value that is no map, in few characters. */
export function valueText(column: string, value: Value): string {
  if (value === null || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") {
    if (column === "session_duration") return duration(value);
    if (EURO_COLUMNS.has(column)) return `€${value.toFixed(2)}`;
    return Number.isInteger(value) ? String(value) : value.toFixed(2);
  }
  if (Array.isArray(value)) return value.length === 0 ? "–" : value.map((part) => valueText("", part as Value)).join(", ");
  if (typeof value === "object") {
    const entries = Object.entries(value);
    const [first] = mapEntries(value);
    // The count first: where there is little room, the end is cut off.
    return first ? `${first[1]} × ${first[0]}${entries.length > 1 ? `, +${entries.length - 1}` : ""}` : "–";
  }
  if (column === "price_range_viewed") return value === "0.0-0.0" ? "–" : value.replace("-", " – ");
  const time = /^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)/.exec(value);
  return time?.[1] ? `${time[1]} UTC` : value;
}

/** A map's entries, the largest first; nothing for other values. */
export function mapEntries(value: Value): readonly (readonly [string, number])[] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [];
  return Object.entries(value)
    .flatMap(([key, count]) => (typeof count === "number" ? [[key, count] as const] : []))
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

/** A change in few words, before and after. Of a map, only the entry that changed. */
export function changeText(column: string, from: Value, to: Value): readonly [string, string] {
  const before = new Map(mapEntries(from));
  const after = new Map(mapEntries(to));
  const key = [...after.keys(), ...before.keys()].find((candidate) => before.get(candidate) !== after.get(candidate));
  if (key === undefined) return [valueText(column, from), valueText(column, to)];
  return [`${key} ${before.get(key) ?? 0}`, String(after.get(key) ?? 0)];
}

/** What a screen reader says of a feature. */
export function featureSentence(feature: Feature): string {
  const window = windowName(feature.window);
  const entries = mapEntries(feature.value);
  const text = entries.length > 0 ? entries.map(([key, count]) => `${key} ${count}`).join(", ") : valueText(feature.column, feature.value);
  return `${featureName(feature.column)}${window ? `, ${window}` : ""}: ${text}`;
}
