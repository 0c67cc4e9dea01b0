import assert from "node:assert/strict";
import { test } from "node:test";
import { historyPath, LINE_HEIGHT, LINE_WIDTH } from "@/live/history";
import { HELP_VIEWS, needsHelp, topCategory, wavers } from "@/live/rules";
import { type Feature, forgetValues, HISTORY_MAX, initialState, type LiveState, NEWS_MAX, reduce } from "@/live/state";
import type { Message, Value } from "@/live/types";
import { ago, changeText, duration, featureName, featureSentence, valueText, windowName } from "@/live/words";

const queries: Message = {
  type: "queries",
  queries: [
    { name: "cart", sql: "", tables: ["5m", "1h"].map((window) => ({ table: `cart_features_${window}`, keyColumn: "user_key" as const, columns: ["cart_add_count", "cart_remove_count"] })) },
    { name: "products", sql: "", tables: ["5m", "1h"].map((window) => ({ table: `product_features_${window}`, keyColumn: "user_key" as const, columns: ["return_view_count"] })) },
    { name: "categories", sql: "", tables: [{ table: "category_features_1h", keyColumn: "user_key", columns: ["top_category", "category_view_count"] }] },
    { name: "sessions", sql: "", tables: [{ table: "session_features", keyColumn: "session_id", columns: ["session_page_count"] }] },
  ],
};

function after(...messages: Message[]): LiveState {
  return messages.reduce(reduce, reduce(initialState, queries));
}

function change(table: string, values: Record<string, Value>, at = 0): Message {
  return { type: "change", table, values, at };
}

function feature(state: LiveState, id: string): Feature {
  const found = state.features.get(id);
  assert.ok(found, id);
  return found;
}

test("a change is news with a moment and a point; a value at the start is not", () => {
  const state = after({ type: "values", table: "cart_features_5m", values: { cart_add_count: 1, cart_remove_count: null }, at: 10 }, change("cart_features_5m", { cart_add_count: 2 }, 20));
  const adds = feature(state, "cart_features_5m.cart_add_count");
  assert.deepEqual([adds.value, adds.changedAt, adds.window], [2, 20, "5m"]);
  assert.deepEqual(adds.history, [{ at: 10, level: 1 }, { at: 20, level: 2 }]);
  assert.deepEqual(state.news, [{ id: "cart_features_5m.cart_add_count", at: 20, from: 1, to: 2 }]);
  assert.equal(feature(state, "cart_features_5m.cart_remove_count").history.length, 0);
});

test("the same value again changes nothing, and an unknown table or column is passed over", () => {
  const state = after(change("product_features_5m", { return_view_count: { a: 1 } }, 5));
  const again = reduce(state, change("product_features_5m", { return_view_count: { a: 1 } }, 9));
  assert.deepEqual(again.features, state.features);
  assert.deepEqual(after(change("nobody", { x: 1 }), change("cart_features_5m", { x: 1 })).features, after().features);
});

test("two windows that change alike are one piece of news", () => {
  const state = after(change("cart_features_5m", { cart_add_count: 1 }, 100), change("cart_features_1h", { cart_add_count: 1 }, 120), change("cart_features_1h", { cart_add_count: 2 }, 5_000));
  assert.deepEqual(state.news.map((news) => news.at), [5_000, 100]);
});

test("histories and news are bounded", () => {
  const state = after(...Array.from({ length: 200 }, (_, at) => change("cart_features_5m", { cart_add_count: at + 1 }, at * 2_000)));
  assert.equal(feature(state, "cart_features_5m.cart_add_count").history.length, HISTORY_MAX);
  assert.equal(state.news.length, NEWS_MAX);
});

test("queries that come anew keep what is known; other keys forget only their own", () => {
  const state = after(change("cart_features_5m", { cart_add_count: 1 }), change("session_features", { session_page_count: 4 }), queries);
  assert.equal(feature(state, "cart_features_5m.cart_add_count").value, 1);
  const other = forgetValues(state, ["user_key"]);
  assert.equal(feature(other, "cart_features_5m.cart_add_count").value, null);
  assert.equal(feature(other, "session_features.session_page_count").value, 4);
  assert.deepEqual(other.news.map((news) => news.id), ["session_features.session_page_count"]);
});

test("help from the third view of the same product on, by either window", () => {
  const views = (five: number, hour: number) => after(change("product_features_5m", { return_view_count: { a: five, b: 9 } }), change("product_features_1h", { return_view_count: { a: hour } })).features;
  assert.equal(HELP_VIEWS, 3);
  assert.deepEqual([views(2, 2), views(3, 3), views(0, 3)].map((features) => needsHelp(features, "a")), [false, true, true]);
  assert.equal(needsHelp(after().features, "a"), false);
  assert.equal(needsHelp(after(change("product_features_5m", { return_view_count: "rubbish" })).features, "a"), false);
});

test("the top category is the engine's where it is a category, else the most viewed one", () => {
  const top = (top_category: Value, category_view_count: Value) => topCategory(after(change("category_features_1h", { top_category, category_view_count })).features);
  assert.equal(top("Kites", { Kites: 1, Galley: 5 }), "Kites");
  assert.equal(top("This tide", { "This tide": 9, Galley: 2, Kites: 1 }), "Galley");
  assert.equal(top("This tide", { "This tide": 9 }), null);
  assert.equal(top(null, null), null);
});

test("a reminder when adds and removals alternate, none for a full cart or a clearance", () => {
  const cart = (cart_add_count: Value, cart_remove_count: Value) => wavers(after(change("cart_features_5m", { cart_add_count, cart_remove_count })).features);
  assert.deepEqual([cart(1, 1), cart(2, 1), cart(2, 2), cart(3, 2), cart(4, 2), cart(5, 2), cart(9, 0), cart(2, 5), cart(null, null)], [false, false, true, true, true, false, false, false, false]);
});

test("a line stays in its frame, goes in time, and has one step a change", () => {
  assert.equal(historyPath([], 0), null);
  for (const levels of [[1], [1, 1], [0, 5, 2], [1e9, -4, 3, 3]]) {
    const points = levels.map((level, index) => ({ at: index * 7_000, level }));
    const line = historyPath(points, 60_000);
    assert.ok(line);
    assert.equal((line.path.match(/V/g) ?? []).length, levels.length - 1);
    const xs = [...line.path.matchAll(/[MH]([\d.-]+)/g)].map((match) => Number(match[1]));
    const ys = [...line.path.matchAll(/V([\d.-]+)/g)].map((match) => Number(match[1]));
    assert.deepEqual(xs, [...xs].sort((a, b) => a - b));
    assert.ok(xs.every((x) => x >= 0 && x <= LINE_WIDTH) && ys.every((y) => y >= 0 && y <= LINE_HEIGHT));
  }
});

test("values and times are written for people", () => {
  assert.deepEqual([null, true, 3, 0.3333, "x"].map((value) => valueText("", value)), ["–", "yes", "3", "0.33", "x"]);
  assert.equal(valueText("cart_value", 129.9), "€129.90");
  assert.equal(valueText("session_duration", 83_000), "1 min 23 s");
  assert.equal(valueText("price_range_viewed", "14.5-189.0"), "14.5 – 189.0");
  assert.equal(valueText("last_seen", "2026-01-02T03:04:05.678Z"), "03:04:05 UTC");
  assert.equal(valueText("", { a: 1, b: 3 }), "3 × b, +1");
  assert.equal(valueText("", {}), "–");
  assert.equal(valueText("", ["Desktop", "Mobile"]), "Desktop, Mobile");
  assert.deepEqual(changeText("", { a: 1, b: 3 }, { a: 2, b: 3 }), ["a 1", "2"]);
  assert.deepEqual(changeText("", 1, 2), ["1", "2"]);
  assert.deepEqual([duration(0), duration(3_600_000), windowName("15m"), windowName(""), featureName("my_own_feature")], ["0 s", "1 h 0 min", "15 min", "", "My own feature"]);
  assert.deepEqual([0, 1_499, 59_000, 61_000, 7_300_000].map(ago), ["just now", "just now", "59 s ago", "1 min ago", "2 h ago"]);
  assert.equal(featureSentence(feature(after(change("product_features_5m", { return_view_count: { a: 1, b: 2 } })), "product_features_5m.return_view_count")), "Views of each product, 5 min: b 2, a 1");
});
