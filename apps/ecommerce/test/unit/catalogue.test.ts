import assert from "node:assert/strict";
import { test } from "node:test";
import { categories, categoryByName } from "@/catalogue/categories";
import { homeLists, related } from "@/catalogue/lists";
import { productById, products, productsOf } from "@/catalogue/products";
import { promotions } from "@/catalogue/promotions";
import { QUERY_MAX, search } from "@/catalogue/search";
import { productPicture, shapeNames } from "@/pictures/product";

test("every product stands in a category, once, at a sensible price", () => {
  assert.equal(products.length, 40);
  assert.equal(new Set(products.map((product) => product.id)).size, 40);
  for (const product of products) {
    assert.ok(categoryByName(product.category), product.id);
    assert.match(product.id, /^[a-z0-9-]+$/);
    assert.ok(Number.isInteger(product.priceCents) && product.priceCents > 0);
    assert.ok(product.listPriceCents === undefined || product.listPriceCents > product.priceCents);
  }
  assert.ok(categories.every((category) => productsOf(category.name).length >= 6));
});

test("every product has a picture of its own, with nothing from elsewhere and no broken number", () => {
  const pictures = products.map(productPicture);
  assert.equal(new Set(pictures).size, products.length);
  for (const picture of pictures) {
    assert.ok(!/NaN|undefined|Infinity/.test(picture));
    assert.ok(!/https?:/.test(picture.replace("http://www.w3.org/2000/svg", "")));
    assert.ok(picture.length < 6_000);
  }
  const drawn = new Set(products.map((product) => product.picture.shape));
  assert.deepEqual([...drawn].sort(), [...shapeNames].sort(), "every drawing is used, and every product has one");
});

test("lists and promotions name products that exist", () => {
  assert.deepEqual(homeLists.map((list) => list.products.length), [4, 8, 4]);
  assert.ok(homeLists.every((list) => !categoryByName(list.name)), "a home list's name is no category's");
  for (const promotion of Object.values(promotions)) {
    assert.ok(promotion.productIds.every((id) => productById(id)));
    assert.ok(categories.some((category) => promotion.href === `/category/${category.slug}`) || productById(promotion.href.replace("/product/", "")));
  }
  for (const product of products) {
    assert.equal(related(product).length, 4);
    assert.ok(related(product).every((other) => other.category === product.category && other.id !== product.id));
  }
});

test("the search finds every word of a query, in any case and form", () => {
  assert.equal(search("Squall Coat")[0]?.id, "squall-coat");
  assert.equal(search("KETTLES").length, 2);
  assert.ok(search("kettle red").every((product) => product.id === "first-watch-kettle"));
  assert.ok(search("red").length > 4);
  assert.equal(search("kettle herring").length, 0);
  for (const nothing of ["", "   ", "!!!", "<zzz>", "x".repeat(5_000), "%%"]) assert.equal(search(nothing).length, 0);
  assert.equal(search(`kettle ${"x".repeat(QUERY_MAX)}`).length, 0);
  for (const product of products) assert.ok(search(product.name).includes(product), product.name);
});
