import assert from "node:assert/strict";
import { test } from "node:test";
import { addLine, type Cart, cartTotalCents, emptyCart, LINE_QUANTITY_MAX, lineKey, pieces, readCart, SET_ASIDE_MAX, setQuantity } from "@/cart/cart";
import { products } from "@/catalogue/products";

/** A small generator of numbers that a failure can be repeated with. */
function numbers(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

test("a cart is what a plain map of quantities says, whatever is done to it", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const next = numbers(seed);
    const model = new Map<string, { cents: number; quantity: number }>();
    let cart: Cart = emptyCart("c");
    for (let action = 0; action < 80; action += 1) {
      const product = products[next(6)];
      assert.ok(product);
      const size = product.sizes?.[next(2)];
      const line = { productId: product.id, ...(size ? { size } : {}) };
      const key = lineKey(line);
      const before = model.get(key)?.quantity ?? 0;
      const adds = next(2) === 0;
      const quantity = next(12);
      const result = adds ? addLine(cart, line, quantity) : setQuantity(cart, line, quantity);
      const after = Math.min(LINE_QUANTITY_MAX, adds ? before + Math.min(LINE_QUANTITY_MAX, quantity) : quantity);
      model.set(key, { cents: product.priceCents, quantity: after });
      assert.equal(result.delta, after - before, `seed ${seed}, action ${action}`);
      cart = result.cart;
      const all = [...model.values()];
      assert.equal(cartTotalCents(cart), all.reduce((sum, entry) => sum + entry.cents * entry.quantity, 0));
      assert.equal(pieces(cart), all.reduce((sum, entry) => sum + entry.quantity, 0));
      assert.equal(new Set(cart.lines.map(lineKey)).size, cart.lines.length, "a line stands once");
      assert.ok(cart.lines.every((entry) => entry.quantity > 0));
      assert.ok(cart.setAside.length <= SET_ASIDE_MAX);
      assert.ok(cart.setAside.every((entry) => !cart.lines.some((other) => lineKey(other) === lineKey(entry))), "nothing is both in and aside");
    }
  }
});

test("an action leaves the cart before it as it was", () => {
  const before = addLine(emptyCart("c"), { productId: "bosun-mug" }, 2).cart;
  const copy = structuredClone(before);
  setQuantity(before, { productId: "bosun-mug" }, 0);
  addLine(before, { productId: "log-book" }, 1);
  assert.deepEqual(before, copy);
});

test("what was taken out is remembered with its quantity", () => {
  const full = addLine(emptyCart("c"), { productId: "puddle-boots", size: "41" }, 3).cart;
  const { cart, delta } = setQuantity(full, { productId: "puddle-boots", size: "41" }, 0);
  assert.equal(delta, -3);
  assert.deepEqual(cart.setAside, [{ productId: "puddle-boots", size: "41", quantity: 3 }]);
});

test("whatever storage holds, a cart comes out", () => {
  for (const rubbish of [null, 7, "x", [], {}, { lines: 3 }, { lines: [null, 4, {}, { productId: 1, quantity: 1 }, { productId: "gone", quantity: 1 }] }]) {
    assert.deepEqual(readCart(rubbish, "new"), { id: "new", lines: [], setAside: [] });
  }
  const odd = { id: "kept", lines: [{ productId: "bosun-mug", quantity: 1e9 }, { productId: "log-book", quantity: Number.NaN }, { productId: "tide-clock", quantity: -2 }, { productId: "puddle-boots", size: "41", quantity: 1.9, extra: true }] };
  assert.deepEqual(readCart(odd, "new"), { id: "kept", lines: [{ productId: "bosun-mug", quantity: LINE_QUANTITY_MAX }, { productId: "puddle-boots", size: "41", quantity: 1 }], setAside: [] });
});
