import assert from "node:assert/strict";
import { test } from "node:test";
import { addLine, emptyCart, setQuantity } from "@/cart/cart";
import { emptyDraft } from "@/cart/checkout";
import { type Order, orderLines, totals } from "@/cart/order";
import { productById, products } from "@/catalogue/products";
import { promotions } from "@/catalogue/promotions";
import { nameError } from "@/account/account";
import { reachable } from "@/tracking/collector";
import {
  addedToCart, checkoutStep, listClicked, listViewed, productEntity, productViewed, promotionEntity, refundMade, removedFromCart, transactionFailed, transactionMade,
} from "@/tracking/payloads";

const mug = productById("bosun-mug");
assert.ok(mug);
const product = mug;

function order(coupon?: string): Order {
  const lines = [{ productId: "puddle-boots", size: "41", quantity: 1 }, { productId: "bosun-mug", quantity: 3 }];
  return { id: "OH-1", placedAt: 0, lines: orderLines(lines, coupon), totals: totals(lines, "gull-express", coupon), deliveryId: "gull-express", paymentMethod: "card", ...(coupon ? { coupon } : {}) };
}

test("each call brings a context array of its own", () => {
  const builders = [
    () => productViewed(product), () => listViewed({ name: "L", products }), () => listClicked("L", product, 1),
    () => addedToCart({ product, quantity: 1 }, emptyCart("c")), () => removedFromCart({ product, quantity: 1 }, emptyCart("c")),
    () => promotionEntity(promotions.hero), () => checkoutStep("review", emptyDraft, false), () => transactionMade(order()),
    () => transactionFailed(order()), () => refundMade(order(), order().lines, 100, "why"),
  ];
  for (const build of builders) {
    const [one, two] = [build(), build()];
    assert.deepEqual(one.context, []);
    assert.notEqual(one.context, two.context);
  }
});

test("every product makes an entity without empty keys and with clean amounts", () => {
  for (const each of products) {
    const entity = productEntity(each, { quantity: 2, size: undefined, position: 1 });
    for (const [key, value] of Object.entries(entity)) assert.ok(value !== undefined && value !== "" && value !== null, `${each.id}.${key}`);
    assert.ok(!("size" in entity));
    assert.match(JSON.stringify(entity.price), /^\d+(\.\d{1,2})?$/);
    assert.equal("list_price" in entity, each.listPriceCents !== undefined);
  }
});

test("a cart's total is the one after the action, without a sum's dust", () => {
  let cart = addLine(emptyCart("c"), { productId: "first-watch-kettle" }, 1).cart;
  cart = addLine(cart, { productId: "anchorage-mug" }, 3).cart;
  assert.equal(addedToCart({ product, quantity: 1 }, cart).total_value, 114.35);
  cart = setQuantity(cart, { productId: "first-watch-kettle" }, 0).cart;
  const removed = removedFromCart({ product, quantity: 1, size: "M" }, cart);
  assert.equal(removed.total_value, 59.85);
  assert.equal(removed.products?.[0]?.size, "M");
  assert.equal(removed.cart_id, "c");
});

test("positions in a list count from one", () => {
  assert.deepEqual(listViewed({ name: "L", products: products.slice(0, 3) }).products.map((entity) => entity.position), [1, 2, 3]);
});

test("a step says what the steps before it knew, and no address but the postcode", () => {
  const draft = { name: "Grey Heron", street: "Tidal Flat 3", postcode: " 1234 AB ", town: "Oddharbour", newsletter: true, deliveryId: "quayside", paymentMethod: "card", coupon: "SPRINGTIDE" };
  assert.deepEqual(checkoutStep("address", draft, false), { step: 1, account_type: "guest checkout", coupon_code: "SPRINGTIDE", context: [] });
  const last = checkoutStep("review", draft, true);
  assert.deepEqual(last, {
    step: 4, account_type: "existing user", shipping_postcode: "1234 AB", billing_postcode: "1234 AB", marketing_opt_in: true,
    delivery_provider: "Oddharbour Lockers", delivery_method: "pickup", payment_method: "card", coupon_code: "SPRINGTIDE", context: [],
  });
  assert.ok(!/Heron|Tidal|Oddharbour"/.test(JSON.stringify(last)));
});

test("a transaction names its pieces, its revenue and its discount", () => {
  const plain = transactionMade(order());
  assert.equal(plain.total_quantity, 4);
  assert.equal(plain.revenue, 135.95);
  assert.ok(!("discount_code" in plain));
  const reduced = transactionMade(order("SPRINGTIDE"));
  assert.equal(reduced.discount_amount, 12.35);
  assert.equal(reduced.revenue, 123.6);
  assert.equal(transactionFailed(order()).transaction.total_quantity, 4);
  assert.ok(!("products" in transactionFailed(order()).transaction), "a declined payment buys nothing");
});

test("a log-in name is no e-mail address and fits a key", () => {
  assert.equal(nameError("grey-heron"), undefined);
  for (const wrong of ["", "a", "-a", "Grey", "a b", "a@b.c", "ä-b", "x".repeat(33), "user:42"]) assert.ok(nameError(wrong), wrong);
});

test("a collector on this machine is found from a phone, one elsewhere is left alone", () => {
  assert.equal(reachable("http://localhost:9090", "192.168.0.7"), "http://192.168.0.7:9090");
  assert.equal(reachable("http://localhost:9090/", "localhost"), "http://localhost:9090");
  assert.equal(reachable("https://collector.example:8443", "192.168.0.7"), "https://collector.example:8443");
});
