import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Page } from "playwright-core";
import { PHONE, shoot, Stage, until } from "./support/stage";

const stage = new Stage();
before(() => stage.start());
afterEach(() => stage.closeVisits());
after(() => stage.stop());

async function openPanel(page: Page) {
  await page.getByRole("button", { name: /^What the shop knows about you/ }).click();
  await page.getByRole("heading", { name: "What the shop knows about you right now" }).waitFor();
}

function row(page: Page, feature: string) {
  return page.locator(`[data-feature="${feature}"]`);
}

/** Waits until a feature's row shows this. */
async function shows(page: Page, feature: string, text: string) {
  await row(page, feature).locator(".feature-value").getByText(text, { exact: true }).waitFor();
}

test("the panel shows a feature as it changes, with its line, its moment and its SQL", async () => {
  const { page, trouble, hosts } = await stage.visit();
  await page.goto("/");
  await openPanel(page);
  await page.getByText("Live from Tidewheel").waitFor();
  await page.getByRole("link", { name: "Galley", exact: true }).first().click();
  await page.getByRole("link", { name: /Bosun Mug/ }).click();
  await shows(page, "product_features_5m.product_view_count", "1");
  await shows(page, "product_brand_5m.most_viewed_brand", "Nine Knots & a Half");
  await page.getByRole("button", { name: "Put into the cart", exact: true }).click();
  await shows(page, "cart_features_5m.cart_value", "€14.50");
  await page.getByRole("button", { name: "Put into the cart", exact: true }).click();
  await shows(page, "cart_features_5m.cart_value", "€29.00");
  const cartValue = row(page, "cart_features_5m.cart_value");
  assert.equal(await cartValue.getAttribute("data-fresh"), "true");
  assert.match(await cartValue.locator("time").innerText(), /just now|s ago/);
  assert.match((await cartValue.locator("path").getAttribute("d")) ?? "", /V/, "the line has a step");
  const news = page.getByRole("region", { name: "Just changed" });
  await news.getByText("€29.00").waitFor();
  await page.getByRole("button", { name: "SQL of Cart's value" }).click();
  const sql = await page.locator("pre.sql").innerText();
  assert.match(sql, /^INSERT INTO cart_features_5m/);
  assert.match(sql, /LAST_VALUE\(cart_value\)/);
  await shoot(page, "panel-desktop");
  assert.deepEqual(hosts, new Set([stage.shop.url, stage.collector.url]), "the engine is asked by the server alone");
  assert.deepEqual(trouble, []);

  // A page loaded anew keeps the lines.
  await page.goto("/cart");
  await shows(page, "cart_features_5m.cart_value", "€29.00");
  assert.match((await row(page, "cart_features_5m.cart_value").locator("path").getAttribute("d")) ?? "", /V/);

  // Escape closes, and the focus goes back to the button.
  await page.locator("#panel").focus();
  await page.keyboard.press("Escape");
  assert.match(await page.evaluate(() => document.activeElement?.className ?? ""), /panel-toggle/);
});

test("features are the shopper's own, and another's after the log-in", async () => {
  const one = await stage.visit();
  const two = await stage.visit(PHONE);
  for (const { page } of [one, two]) {
    await page.goto("/product/log-book");
    await openPanel(page);
    await shows(page, "product_features_5m.product_view_count", "1");
  }
  await one.page.goto("/product/tide-clock");
  await shows(one.page, "product_features_5m.product_view_count", "2");
  await shoot(two.page, "panel-phone");
  assert.equal(await row(two.page, "product_features_5m.product_view_count").locator(".feature-value").innerText(), "1");
  for (const query of ["products", "cart"]) assert.equal(stage.engine.streams(query), 1, "one stream a query, however many listen");

  stage.engine.write("purchase_features_24h", "user_key", "night-heron", { orders_count: 7 });
  await one.page.goto("/login");
  await one.page.getByLabel("A name for this visit").fill("night-heron");
  await one.page.getByRole("button", { name: "Log in" }).click();
  await shows(one.page, "purchase_features_24h.orders_count", "7");
  await shows(one.page, "product_features_5m.product_view_count", "–");
  await stage.closeVisits();
  await until("the streams to end when nobody listens", () => stage.engine.streams("products") === 0);
});

test("a query that somebody adds shows in the panel without a change to the shop", async () => {
  const { page } = await stage.visit();
  await page.goto("/product/log-book");
  await openPanel(page);
  await shows(page, "product_features_5m.product_view_count", "1");
  stage.engine.addQuery("my_brand", `
    CREATE TABLE product_brand_15m (user_key STRING, favourite_brand STRING, PRIMARY KEY (user_key) NOT ENFORCED)
    WITH ('connector' = 'redis', 'key' = 'user:{user_key}:{column}_15m');
    INSERT INTO product_brand_15m SELECT user_key, MODE(brand) FROM shopper_events GROUP BY user_key;`, "product_brand_15m");
  await until("the new query's stream", () => stage.engine.streams("my_brand") === 1);
  const key = stage.collector.events.at(-1)?.raw.duid ?? "";
  stage.engine.write("product_brand_15m", "user_key", key, { favourite_brand: "Kelpwright" });
  await shows(page, "product_brand_15m.favourite_brand", "Kelpwright");
  await page.getByRole("heading", { name: "Favourite brand" }).waitFor();
});

for (const [name, viewport] of [["desktop", undefined], ["phone", PHONE]] as const) {
  test(`the shop reacts: help, a badge, a reminder (${name})`, async () => {
    const { page } = await stage.visit(viewport);
    const help = page.getByTestId("help");
    for (let view = 1; view <= 3; view += 1) {
      await page.goto("/category/rainwear");
      await page.getByRole("link", { name: /Squall Coat/ }).click();
      await page.getByRole("heading", { name: "Squall Coat", level: 1 }).waitFor();
      if (view < 3) assert.equal(await help.count(), 0, "no help before the third view");
    }
    await help.getByText("Can we help with the Squall Coat?").waitFor();
    await help.getByText("Compare it with two like it").click();
    assert.equal(await help.getByRole("listitem").count(), 3);
    assert.equal(await page.getByRole("link", { name: /^Rainwear.*your favourite department/ }).count(), 1);
    await shoot(page, `reactions-${name}-help`);
    await help.getByRole("button", { name: /^Close/ }).click();
    assert.equal(await help.count(), 0);

    const reminder = page.getByTestId("cart-reminder");
    for (let turn = 1; turn <= 2; turn += 1) {
      await page.getByRole("button", { name: "Put into the cart", exact: true }).click();
      await page.getByRole("link", { name: "See the cart" }).click();
      await page.getByRole("button", { name: "Remove Squall Coat, size M" }).click();
      await page.getByText("There is nothing in your cart.").waitFor();
      if (turn < 2) {
        assert.equal(await reminder.count(), 0, "no reminder before the second turn");
        await page.goBack();
      }
    }
    await reminder.getByText("Still making up your mind?").waitFor();
    await shoot(page, `reactions-${name}-reminder`);
    await reminder.getByRole("button", { name: "Put back Squall Coat" }).click();
    await page.getByRole("link", { name: "Cart 1 piece" }).waitFor();
    });
}

test("an engine that goes away is told of plainly, and its return needs nobody", async () => {
  const { page } = await stage.visit();
  await page.goto("/product/log-book");
  await openPanel(page);
  await shows(page, "product_features_5m.product_view_count", "1");
  const { port } = stage.engine;
  await stage.engine.stop();
  await page.getByText("Tidewheel is away.").waitFor();
  await shoot(page, "panel-away");
  await page.getByRole("button", { name: "Put into the cart", exact: true }).click();
  await page.getByText("In your cart. It now comes to €16.50.").waitFor();
  await stage.engine.start(port);
  await page.getByText("Live from Tidewheel").waitFor();
  await shows(page, "cart_features_5m.cart_value", "€16.50");
  await page.getByRole("button", { name: "Put into the cart", exact: true }).click();
  await shows(page, "cart_features_5m.cart_value", "€33.00");
});
