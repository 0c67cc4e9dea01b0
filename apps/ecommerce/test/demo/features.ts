import { entities, type Sent } from "../e2e/support/collector";

/** What Tidewheel answers for a key in a table: columns to values, empty where it holds nothing. */
export type Row = Readonly<Record<string, unknown>>;

/** The windows by name: a visit is shorter than all of them, so each holds the same rows. */
const SHORT = ["5m", "1h"];
const LONG = ["5m", "1h", "24h"];

const typeOf = (event: Sent) => (event.raw.e === "pv" ? "page_view" : String(event.action?.data.type ?? event.raw.e));
const productOf = (event: Sent) => entities(event, "product")[0] ?? {};
const distinct = <T>(list: readonly T[]) => [...new Set(list)];

/** How often each occurs. */
function histogram(list: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of list) counts[item] = (counts[item] ?? 0) + 1;
  return counts;
}

/** The most frequent; of several the one that occurred last. */
function mode(list: readonly string[]): string | undefined {
  const counts = histogram(list);
  const most = Math.max(...Object.values(counts));
  return list.findLast((item) => counts[item] === most);
}

/** A double as the store writes it: at least one decimal. */
function doubleText(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/** Rounds to cents, half to even; sums of a visit's few amounts are never so close to a half that doubles matter. */
const cents = (value: number) => Number(value.toFixed(2));

function products(views: readonly Sent[]): Record<string, Row> {
  if (views.length === 0) return {};
  const ids = views.map((event) => String(productOf(event).id));
  const prices = views.map((event) => Number(productOf(event).price));
  const firsts = distinct(ids).map((id) => prices[ids.indexOf(id)] ?? 0);
  const features = {
    product_view_count: distinct(ids).length,
    return_view_count: histogram(ids),
    price_range_viewed: `${doubleText(Math.min(...prices))}-${doubleText(Math.max(...prices))}`,
    avg_viewed_price: firsts.reduce((sum, price) => sum + price, 0) / firsts.length,
  };
  const brand = mode(views.flatMap((event) => (productOf(event).brand ? [String(productOf(event).brand)] : [])));
  return Object.fromEntries(SHORT.flatMap((window) => [
    [`product_features_${window}`, features],
    [`product_brand_${window}`, { most_viewed_brand: brand }],
  ]));
}

function categories(events: readonly Sent[]): Record<string, Row> {
  const names = events.flatMap((event) => {
    const name = typeOf(event) === "list_view" ? event.action?.data.name : typeOf(event) === "product_view" ? productOf(event).category : undefined;
    return name ? [String(name)] : [];
  });
  if (names.length === 0) return {};
  const row = { top_category: mode(names), unique_categories: distinct(names).length, category_view_count: histogram(names) };
  return Object.fromEntries(LONG.map((window) => [`category_features_${window}`, row]));
}

function cart(events: readonly Sent[]): Record<string, Row> {
  const changes = events.filter((event) => /^(add_to|remove_from)_cart$/.test(typeOf(event)));
  if (changes.length === 0) return {};
  const adds = changes.filter((event) => typeOf(event) === "add_to_cart").length;
  const newest = changes.at(-1);
  const row = {
    cart_add_count: adds,
    cart_remove_count: changes.length - adds,
    cart_update_frequency: changes.length,
    cart_value: newest ? entities(newest, "cart")[0]?.total_value : undefined,
  };
  return Object.fromEntries(SHORT.map((window) => [`cart_features_${window}`, row]));
}

function purchases(events: readonly Sent[]): Record<string, Row> {
  const orders = new Map<string, number>();
  for (const event of events.filter((one) => typeOf(one) === "transaction")) {
    const transaction = entities(event, "transaction")[0];
    const id = String(transaction?.transaction_id);
    if (!orders.has(id)) orders.set(id, Number(transaction?.revenue));
  }
  if (orders.size === 0) return {};
  const value = [...orders.values()].reduce((sum, revenue) => sum + revenue, 0);
  return { purchase_features_24h: { orders_count: orders.size, order_value: value, avg_order_value: cents(value / orders.size) } };
}

function shopper(events: readonly Sent[]): Record<string, Row> {
  if (events.length === 0) return {};
  const places = events.flatMap((event) => (event.raw.tz ? [event.raw.tz] : []));
  const steps = events.filter((event) => typeOf(event) === "checkout_step").map((event) => Number(entities(event, "checkout_step")[0]?.step));
  return {
    shopper_features_24h: {
      shopper_locations: distinct(places),
      shopper_region_changes: places.filter((place, at) => at > 0 && place !== places[at - 1]).length,
      promotions_clicked: events.filter((event) => typeOf(event) === "promo_click").length,
    },
    ...(steps.length > 0 ? { shopper_features_1h: { checkout_furthest_step: Math.max(...steps) } } : {}),
    shopper_last_seen: { last_seen: Math.max(...events.map((event) => Number(event.raw.dtm))) },
  };
}

/**
 * All features of a user's key as the catalogue defines them, from the events as the tracker sent them, by
 * table. Times are those of the shopper's clock, in milliseconds.
 */
export function featuresOfUser(sent: readonly Sent[], userKey: string): Readonly<Record<string, Row>> {
  const events = inOrder(sent).filter((event) => (event.raw.uid || event.raw.duid) === userKey);
  const views = events.filter((event) => typeOf(event) === "product_view");
  return { ...products(views), ...categories(events), ...cart(events), ...purchases(events), ...shopper(events) };
}

/** All features of a session, with the device class that the browser is known to be. */
export function featuresOfSession(sent: readonly Sent[], sessionId: string, device: string): Row {
  const rows = inOrder(sent).filter((event) => entities(event, "client_session")[0]?.sessionId === sessionId
    && /^(page_view|product_view|add_to_cart|remove_from_cart)$/.test(typeOf(event)));
  const times = rows.map((event) => Number(event.raw.dtm));
  const of = (type: string) => rows.filter((event) => typeOf(event) === type);
  const campaigns = rows.flatMap((event) => new URL(event.raw.url ?? "").searchParams.get("utm_campaign") ?? []);
  const views = of("product_view").length;
  return {
    session_duration: Math.max(...times) - Math.min(...times),
    session_page_count: of("page_view").length,
    session_bounce: of("page_view").length < 2,
    session_marketing_campaign: campaigns[0],
    session_cart_ratio: views === 0 ? 0 : of("add_to_cart").length / views,
    session_search_count: of("page_view").filter((event) => event.raw.url?.includes("/search?q=")).length,
    shopper_device_types: [device],
    shopper_latest_platform: rows.at(-1)?.raw.p,
  };
}

/** By the shopper's clock, and as they were sent where that is the same. */
function inOrder(sent: readonly Sent[]): readonly Sent[] {
  return [...sent].sort((a, b) => Number(a.raw.dtm) - Number(b.raw.dtm));
}
