// What a real feed holds besides whole events.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTransform } from "./load.mjs";

const transform = loadTransform();
const convert = (event) => JSON.parse(transform(JSON.stringify(event)).Data);
const BASE = { event_id: "e", collector_tstamp: "2026-01-01T00:00:01Z", event: "unstruct", platform: "web" };
const ACTION = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1";
const ECOMMERCE = "contexts_com_snowplowanalytics_snowplow_ecommerce_";

test("an event with nothing in it is whole nevertheless", () => {
  assert.deepEqual(convert({ event_id: "e" }), {
    id: "e", type: "unknown", payload: {}, session: {}, metadata: {},
    enrich: { client: { browser: {}, device: {}, page: {} }, performance: {}, user: {}, marketing: null },
  });
});

test("the type is the action's where there is one", () => {
  assert.equal(convert({ ...BASE, [ACTION]: { type: "promo_view" } }).type, "promo_view");
  assert.equal(convert({ ...BASE, [ACTION]: {} }).type, "unknown_ecommerce");
  assert.equal(convert({ ...BASE, event: "page_ping" }).type, "page_ping");
  assert.equal(convert(BASE).type, "unstruct", "another self-describing event");
});

test("what an action lacks is an empty object, and a list without a name has null", () => {
  assert.deepEqual(convert({ ...BASE, [ACTION]: { type: "product_view" } }).payload, { product: {} });
  assert.deepEqual(convert({ ...BASE, [ACTION]: { type: "add_to_cart" } }).payload, { product: {}, cart: {} });
  assert.deepEqual(convert({ ...BASE, [ACTION]: { type: "checkout_step" } }).payload, { checkout_step: {}, cart: {} });
  assert.deepEqual(convert({ ...BASE, [ACTION]: { type: "list_view" } }).payload, { products: [], list_name: null });
  assert.deepEqual(convert({ ...BASE, [ACTION]: { type: "list_click", name: "Kites" } }).payload, { products: [], list_name: "Kites" });
});

test("a transaction carries its amounts, a failed one too, a refund its own", () => {
  const transaction = { transaction_id: "t", revenue: 12.5, currency: "EUR" };
  for (const type of ["transaction", "trns_error"]) {
    assert.deepEqual(convert({ ...BASE, [ACTION]: { type }, [`${ECOMMERCE}transaction_1`]: [transaction] }).payload, { transaction });
  }
  assert.deepEqual(convert({ ...BASE, [ACTION]: { type: "refund" }, [`${ECOMMERCE}refund_1`]: [{ transaction_id: "t" }] }).payload.refund, { transaction_id: "t" });
});

test("the first product is the product of a view, all are those of a list", () => {
  const products = { [`${ECOMMERCE}product_1`]: [{ id: "a" }, { id: "b" }] };
  assert.deepEqual(convert({ ...BASE, ...products, [ACTION]: { type: "product_view" } }).payload.product, { id: "a" });
  assert.deepEqual(convert({ ...BASE, ...products, [ACTION]: { type: "list_view", name: "x" } }).payload.products, [{ id: "a" }, { id: "b" }]);
});

test("session and browser fall back to columns", () => {
  const event = convert({ ...BASE, domain_sessionid: "s", domain_sessionidx: 3, br_viewwidth: 10, br_viewheight: 20, br_cookies: true });
  assert.deepEqual(event.session, { domain_sessionid: "s", domain_sessionidx: 3 });
  assert.deepEqual(event.enrich.client.browser, { viewport: "10x20", cookies_enabled: true });
  const session = { sessionId: "s", sessionIndex: 3 };
  assert.deepEqual(convert({ ...BASE, contexts_com_snowplowanalytics_snowplow_client_session_1: [session] }).session, session);
});

test("the time is the derived one, else the collector's; a value of a structured event is text", () => {
  assert.equal(convert({ ...BASE, derived_tstamp: "2026-01-01T00:00:00.7Z" }).timestamp, "2026-01-01T00:00:00.7Z");
  assert.equal(convert(BASE).timestamp, "2026-01-01T00:00:01Z");
  assert.deepEqual(convert({ ...BASE, event: "struct", se_category: "c", se_value: 5 }).payload.se_data, { category: "c", value: "5" });
});

test("an object does as well as text, and a shopper's events share a partition", () => {
  const event = { ...BASE, domain_userid: "d", network_userid: "n" };
  assert.equal(JSON.parse(transform(event).Data).id, "e");
  assert.equal(transform(JSON.stringify(event), "random").PartitionKey, "d");
  assert.equal(transform(JSON.stringify({ ...BASE, network_userid: "n" }), "random").PartitionKey, "n");
  assert.equal(transform(JSON.stringify(BASE), "random").PartitionKey, "random");
});
