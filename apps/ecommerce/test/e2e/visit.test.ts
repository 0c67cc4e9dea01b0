import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Sent } from "./support/collector";
import { entities } from "./support/collector";
import { checkEvent } from "./support/contract";
import { DESKTOP, PHONE, shoot, Stage, until } from "./support/stage";

const stage = new Stage();
before(() => stage.start());
afterEach(() => stage.closeVisits());
after(() => stage.stop());

function only(type: string, index = 0): Sent {
  const event = stage.collector.ofType(type)[index];
  assert.ok(event, `event ${index} of type ${type}`);
  return event;
}

async function arrived(type: string, count: number): Promise<Sent> {
  await until(`${count} of ${type}`, () => stage.collector.ofType(type).length >= count);
  assert.equal(stage.collector.ofType(type).length, count, `no more than ${count} of ${type}`);
  return only(type, count - 1);
}

function pageViews(): readonly Sent[] {
  return stage.collector.events.filter((event) => event.raw.e === "pv");
}

for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]] as const) {
  test(`a whole visit sends every event as its schema wants it (${name})`, async () => {
    stage.collector.events.length = 0;
    const { page, trouble, hosts } = await stage.visit(viewport);

    // Landing from a campaign: the page, the promotions in sight, and the first list once scrolled to.
    await page.goto("/?utm_source=almanac&utm_medium=email&utm_campaign=equinox");
    await until("the first page view", () => pageViews().length === 1);
    assert.match(pageViews()[0]?.raw.url ?? "", /utm_campaign=equinox$/);
    assert.equal(stage.collector.events[0]?.raw.e, "pv", "the page view comes first");
    await arrived("promo_view", 2);
    assert.deepEqual(new Set(stage.collector.ofType("promo_view").map((event) => entities(event, "promotion")[0]?.slot)), new Set(["top_strip", "home_hero"]));
    await page.getByRole("heading", { name: "This tide" }).scrollIntoViewIfNeeded();
    await page.getByRole("link", { name: /Squall Coat/ }).first().scrollIntoViewIfNeeded();
    const list = await arrived("list_view", 1);
    assert.equal(list.action?.data.name, "This tide");
    assert.deepEqual(entities(list, "product").map((product) => [product.id, product.position]), [["squall-coat", 1], ["keeper-lamp", 2], ["slack-tide-kettle", 3], ["herring-kite", 4]]);
    await shoot(page, `${name}-home`);

    // A promotion leads to a category, whose list carries the category's name.
    await page.getByRole("link", { name: "See rainwear" }).click();
    const promo = await arrived("promo_click", 1);
    assert.deepEqual(entities(promo, "promotion")[0], { id: "promo-equinox", name: "Equinox gales", creative_id: "hero-swell", type: "hero", slot: "home_hero", position: 1, product_ids: ["squall-coat", "puddle-boots", "gale-umbrella"] });
    await page.waitForURL("**/category/rainwear");
    await until("the category's list", () => stage.collector.ofType("list_view").some((event) => event.action?.data.name === "Rainwear"));
    assert.equal(pageViews().length, 2);
    assert.match(pageViews()[1]?.raw.refr ?? "", /utm_campaign=equinox$/, "the page before is the referrer");
    assert.equal(pageViews()[1]?.raw.page, "Rainwear");
    await shoot(page, `${name}-category`);

    // A click in the list, then the product.
    await page.getByRole("link", { name: /Puddle Boots/ }).click();
    const click = await arrived("list_click", 1);
    assert.equal(click.action?.data.name, "Rainwear");
    assert.equal(entities(click, "product")[0]?.position, 3);
    const view = await arrived("product_view", 1);
    assert.deepEqual(entities(view, "product")[0], { id: "puddle-boots", name: "Puddle Boots", category: "Rainwear", brand: "Loud Herring", variant: "buoy red", price: 79.95, inventory_status: "in stock", currency: "EUR" });
    assert.match(view.raw.url ?? "", /\/product\/puddle-boots$/);
    assert.equal(pageViews().length, 3);
    await shoot(page, `${name}-product`);

    // Into the cart: the total is the one after the action.
    await page.getByLabel("42", { exact: true }).check();
    await page.getByRole("button", { name: "Put into the cart" }).click();
    const add = await arrived("add_to_cart", 1);
    assert.equal(entities(add, "cart")[0]?.total_value, 79.95);
    assert.equal(entities(add, "product")[0]?.quantity, 1);
    assert.equal(entities(add, "product")[0]?.size, "42");

    // Search; the address is one that the features look for.
    await page.getByRole("searchbox").fill("red lantern");
    await page.getByRole("searchbox").press("Enter");
    await page.waitForURL("**/search?q=red+lantern");
    await until("the search's page view", () => pageViews().length === 4);
    assert.match(pageViews()[3]?.raw.url ?? "", /\/search\?q=red\+lantern$/);
    await until("the list of results", () => stage.collector.ofType("list_view").some((event) => event.action?.data.name === "Search results"));
    await page.getByRole("link", { name: /Jetty Lantern/ }).click();
    assert.equal((await arrived("list_click", 2)).action?.data.name, "Search results");
    await arrived("product_view", 2);
    await page.getByRole("button", { name: "Put into the cart" }).click();
    assert.equal(entities(await arrived("add_to_cart", 2), "cart")[0]?.total_value, 143.95);

    // In the cart: one more, one fewer, and out.
    await page.getByRole("link", { name: /^Cart 2 pieces/ }).click();
    await page.getByRole("button", { name: "One more: Jetty Lantern" }).click();
    const more = await arrived("add_to_cart", 3);
    assert.equal(entities(more, "cart")[0]?.total_value, 207.95);
    assert.equal(entities(more, "product")[0]?.quantity, 1, "by how many, not how many there are");
    await page.getByRole("button", { name: "Remove Jetty Lantern" }).click();
    const out = await arrived("remove_from_cart", 1);
    assert.equal(entities(out, "cart")[0]?.total_value, 79.95);
    assert.equal(entities(out, "product")[0]?.quantity, 2);
    assert.equal(entities(out, "cart")[0]?.cart_id, entities(add, "cart")[0]?.cart_id, "one cart, one id");
    await page.getByRole("button", { name: "Put back Jetty Lantern" }).click();
    assert.equal(entities(await arrived("add_to_cart", 4), "cart")[0]?.total_value, 207.95);
    await page.getByLabel("Code").fill("springtide");
    await page.getByRole("button", { name: "Use" }).click();
    await page.getByText("Code SPRINGTIDE").first().waitFor();
    await shoot(page, `${name}-cart`);

    // Logging in sets the user id, from the next event on.
    assert.ok(stage.collector.events.every((event) => event.raw.uid === undefined));
    await page.getByRole("link", { name: "Log in" }).click();
    await page.getByLabel("A name for this visit").fill("someone@example.com");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("Not an e-mail address").waitFor();
    await page.getByLabel("A name for this visit").fill("grey-heron");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Hello, grey-heron" }).waitFor();

    // The checkout, step by step.
    await page.getByRole("link", { name: /^Cart/ }).click();
    await page.getByRole("link", { name: "Check out" }).click();
    const first = await arrived("checkout_step", 1);
    assert.equal(first.raw.uid, "grey-heron");
    assert.deepEqual(entities(first, "checkout_step")[0], { step: 1, account_type: "existing user", coupon_code: "SPRINGTIDE" });
    assert.deepEqual(entities(first, "user")[0], { id: "grey-heron", is_guest: false });
    await page.getByLabel("Name on the parcel").fill("Grey Heron");
    await page.getByLabel("Street and number").fill("Tidal Flat 3");
    await page.getByLabel("Postcode").fill("1234 AB");
    await page.getByLabel("Town").fill("Oddharbour");
    await page.getByRole("button", { name: "On to delivery" }).click();
    assert.deepEqual(entities(await arrived("checkout_step", 2), "checkout_step")[0], { step: 2, account_type: "existing user", shipping_postcode: "1234 AB", billing_postcode: "1234 AB", marketing_opt_in: false, coupon_code: "SPRINGTIDE" });
    await page.getByText("Gull express").click();
    await page.getByRole("button", { name: "On to payment" }).click();
    assert.equal(entities(await arrived("checkout_step", 3), "checkout_step")[0]?.delivery_method, "express");
    await page.getByText("Empty card").click();
    await page.getByRole("button", { name: "On to the review" }).click();
    assert.equal(entities(await arrived("checkout_step", 4), "checkout_step")[0]?.payment_method, "empty_card");
    await shoot(page, `${name}-review`);

    // A declined payment is no transaction.
    await page.getByRole("button", { name: "Place the order" }).click();
    assert.equal(entities(await arrived("trns_error", 1), "transaction_error")[0]?.error_type, "soft");
    assert.equal(stage.collector.ofType("transaction").length, 0);
    await page.getByRole("link", { name: "Choose another way to pay" }).click();
    await page.getByText("Invoice", { exact: true }).click();
    await page.getByRole("button", { name: "On to the review" }).click();
    await page.getByRole("button", { name: "Place the order" }).click();
    const bought = await arrived("transaction", 1);
    const transaction = entities(bought, "transaction")[0];
    // 79.95 and 2 × 64.00, each less 10 %, and 12.50 for the gull.
    assert.deepEqual({ ...transaction, transaction_id: "" }, { transaction_id: "", revenue: 199.65, currency: "EUR", payment_method: "invoice", total_quantity: 3, tax: 34.65, shipping: 12.5, credit_order: true, discount_code: "SPRINGTIDE", discount_amount: 20.8 });
    assert.deepEqual(entities(bought, "product").map((product) => [product.id, product.quantity]), [["puddle-boots", 1], ["jetty-lantern", 2]]);
    await page.waitForURL("**/order/OH-*");
    await page.getByRole("link", { name: "Cart 0 pieces" }).waitFor();
    await shoot(page, `${name}-order`);

    // Loading the confirmation again is no second transaction.
    const views = pageViews().length;
    await page.reload();
    await page.getByRole("heading", { name: "Thank you" }).waitFor();
    await until("the page view after the reload", () => pageViews().length === views + 1);
    assert.equal(stage.collector.ofType("transaction").length, 1);

    // A refund of one line.
    await page.getByLabel("1 × Puddle Boots").check();
    await page.getByLabel("Why?").selectOption("I have one already");
    await page.getByRole("button", { name: "Give back what is ticked" }).click();
    const back = await arrived("refund", 1);
    assert.deepEqual(entities(back, "refund")[0], { transaction_id: transaction?.transaction_id, currency: "EUR", refund_amount: 71.95, refund_reason: "I have one already" });
    assert.equal(stage.collector.ofType("transaction").length, 1);

    // Logging out takes the user id away.
    await page.getByRole("link", { name: "grey-heron" }).click();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("link", { name: "Oddharbour", exact: true }).click();
    await until("an event after the log-out", () => stage.collector.events.at(-1)?.raw.uid === undefined);

    // All of it, as the schemas want it, in one session of one browser.
    stage.collector.events.forEach(checkEvent);
    assert.deepEqual(stage.collector.odd, []);
    assert.equal(new Set(stage.collector.events.map((event) => event.raw.duid)).size, 1);
    assert.equal(new Set(stage.collector.events.map((event) => event.raw.sid)).size, 1);
    assert.equal(new Set(stage.collector.events.map((event) => event.raw.eid)).size, stage.collector.events.length);
    const addresses = JSON.stringify(stage.collector.events);
    assert.ok(!addresses.includes("Tidal Flat") && !addresses.includes("example.com"), "no address and no e-mail in any event");
    assert.deepEqual(hosts, new Set([stage.shop.url, stage.collector.url]), "no other host is asked for anything");
    assert.deepEqual(trouble, [], "nothing in the console");
  });
}

test("a page that is looked at sends pings", async () => {
  stage.collector.events.length = 0;
  const { page } = await stage.visit();
  await page.clock.install();
  await page.goto("/product/squall-coat");
  await until("the page view", () => pageViews().length === 1);
  for (let second = 0; second < 24; second += 1) {
    await page.mouse.move(100 + second * 9, 300);
    await page.clock.runFor(1_000);
  }
  await until("a ping", () => stage.collector.events.some((event) => event.raw.e === "pp"));
  const ping = stage.collector.events.find((event) => event.raw.e === "pp");
  assert.match(ping?.raw.url ?? "", /squall-coat$/);
  stage.collector.events.forEach(checkEvent);
});

test("the shop works while collector and engine are away, and sends what it kept", async () => {
  const away = new Stage();
  await away.shop.start({ COLLECTOR_URL: stage.collector.url, TIDEWHEEL_URL: "http://127.0.0.1:9" });
  away.browser = stage.browser;
  const { page, context } = await away.visit();
  let refuse = true;
  await page.route(`${stage.collector.url}/**`, (route) => (refuse ? route.abort("connectionrefused") : route.continue()));
  stage.collector.events.length = 0;
  try {
    await page.goto("/product/bosun-mug");
    await page.getByRole("button", { name: "Put into the cart" }).click();
    await page.getByRole("link", { name: "See the cart" }).click();
    await page.getByRole("button", { name: "One more: Bosun Mug" }).click();
    await page.getByText("€29.00").first().waitFor();
    assert.equal(stage.collector.events.length, 0);
    refuse = false;
    await page.getByRole("link", { name: "Check out" }).click();
    await until("the events that were kept", () => stage.collector.ofType("add_to_cart").length === 2);
    stage.collector.events.forEach(checkEvent);
  } finally {
    await context.close();
    await away.shop.stop();
  }
});
