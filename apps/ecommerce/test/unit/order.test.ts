import assert from "node:assert/strict";
import { test } from "node:test";
import { addressErrors, emptyDraft, firstOpenStep } from "@/cart/checkout";
import { deliveries, FREE_DELIVERY_CENTS } from "@/cart/delivery";
import { couponCode, type Order, orderId, orderLines, refund, totals } from "@/cart/order";
import { formatCents, share, taxWithin, toAmount } from "@/catalogue/money";
import { products } from "@/catalogue/products";

test("an amount is its cents with at most two decimals", () => {
  for (let cents = 0; cents < 40_000; cents += 7) {
    const text = JSON.stringify(toAmount(cents));
    assert.match(text, /^\d+(\.\d{1,2})?$/);
    assert.equal(Math.round(Number(text) * 100), cents);
  }
  assert.equal(toAmount(12_999 + 4_299), 172.98, "not 172.98000000000002");
});

test("amounts are written for people", () => {
  assert.deepEqual([0, 5, 100, 123_456, 100_000_000, -995].map(formatCents), ["€0.00", "€0.05", "€1.00", "€1,234.56", "€1,000,000.00", "−€9.95"]);
});

test("a share is rounded half up, and the tax within never passes the amount", () => {
  assert.equal(share(1_995, 0.1), 200);
  assert.equal(share(1_994, 0.1), 199);
  assert.equal(taxWithin(12_100), 2_100);
  for (let cents = 0; cents < 5_000; cents += 1) {
    const tax = taxWithin(cents);
    assert.ok(tax >= 0 && tax <= cents);
    assert.ok(Math.abs((cents - tax) * 1.21 - cents) <= 0.61, `${cents}`);
  }
});

test("totals add up to the cent for every pair of products, with and without the code", () => {
  for (const first of products) {
    for (const second of products) {
      const lines = [{ productId: first.id, quantity: 3 }, { productId: second.id, size: "M", quantity: 1 }];
      for (const coupon of [undefined, "SPRINGTIDE"]) {
        for (const delivery of deliveries) {
          const sum = totals(lines, delivery.id, coupon);
          assert.equal(sum.goodsCents, first.priceCents * 3 + second.priceCents);
          assert.equal(sum.payCents, sum.goodsCents - sum.discountCents + sum.deliveryCents);
          const paid = orderLines(lines, coupon).reduce((total, line) => total + line.paidCents, 0);
          assert.equal(paid, sum.goodsCents - sum.discountCents, "lines hold their own part of the discount");
          assert.ok(coupon ? Math.abs(sum.discountCents - sum.goodsCents * 0.1) <= 1 : sum.discountCents === 0);
        }
      }
    }
  }
});

test("the mail boat is free from its value on, counted after the discount", () => {
  const [boat] = deliveries;
  assert.ok(boat);
  assert.equal(boat.priceOf(FREE_DELIVERY_CENTS), 0);
  assert.ok(boat.priceOf(FREE_DELIVERY_CENTS - 1) > 0);
  assert.equal(totals([{ productId: "puddle-boots", quantity: 1 }], boat.id, undefined).deliveryCents, 0);
  assert.equal(totals([{ productId: "puddle-boots", quantity: 1 }], boat.id, "SPRINGTIDE").deliveryCents, 495);
  assert.equal(totals([], boat.id, undefined).payCents, 0);
});

test("a line is given back once, and all lines are what was paid for goods", () => {
  const bought = [{ productId: "puddle-boots", size: "41", quantity: 1 }, { productId: "bosun-mug", quantity: 2 }];
  const order: Order = { id: "OH-1", placedAt: 0, lines: orderLines(bought, "SPRINGTIDE"), totals: totals(bought, "quayside", "SPRINGTIDE"), deliveryId: "quayside", paymentMethod: "card", coupon: "SPRINGTIDE" };
  const first = refund(order, ["bosun-mug", "bosun-mug", "no-such-line"]);
  assert.equal(first.refundCents, 2_610);
  assert.equal(refund(first.order, ["bosun-mug"]).refundCents, 0);
  const second = refund(first.order, order.lines.map((line) => line.key));
  assert.equal(first.refundCents + second.refundCents, order.totals.payCents);
  assert.deepEqual(second.lines.map((line) => line.key), ["puddle-boots/41"]);
});

test("codes, ids and addresses", () => {
  assert.equal(couponCode(" springtide "), "SPRINGTIDE");
  assert.equal(couponCode("SPRINGTIDE10"), undefined);
  assert.match(orderId(1_700_000_000_000, 0.999_999), /^OH-[0-9A-Z]+-[0-9A-Z]{4}$/);
  assert.match(orderId(1_700_000_000_000, 0), /-0000$/);
  const filled = { ...emptyDraft, name: "Grey Heron", street: "Quay 1", postcode: "1234 AB", town: "Oddharbour" };
  assert.deepEqual(addressErrors(filled), {});
  assert.deepEqual(Object.keys(addressErrors(emptyDraft)), ["name", "street", "postcode", "town"]);
  assert.ok(addressErrors({ ...filled, postcode: "<script>" }).postcode);
  assert.deepEqual([emptyDraft, filled, { ...filled, deliveryId: "quayside" }, { ...filled, deliveryId: "quayside", paymentMethod: "card" }].map(firstOpenStep), ["address", "delivery", "payment", "review"]);
});
