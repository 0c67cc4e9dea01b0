import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { entities, type Sent } from "../e2e/support/collector";
import { checkEvent } from "../e2e/support/contract";
import { openBrowser } from "../e2e/support/shop";
import { DESKTOP, PHONE, shoot, until } from "../e2e/support/stage";
import { featuresOfSession, featuresOfUser, type Row } from "./features";
import { arrive, KNOWN_HOSTS, LastSeen, quantile, stored, type Visitor } from "./running";

/** A whole visit to the running demo: real shop, collector, log, engine and store. tests/demo.sh starts them. */

const AGENTS = {
  desktop: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  phone: "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
};
const DEVICES = { desktop: "Desktop", phone: "Mobile" };
/** By how much a time of the engine may lie behind the browser's: derived times take the way to the collector in. */
const CLOCK_MS_MAX = 2_000;
const SETTLED_MS_MAX = 10_000;
/** The share of requests that must be seen in the store: one that overtakes another does not move `last_seen`. */
const MEASURED_MIN = 0.8;

let browser: Browser;
const lastSeen = new LastSeen();
const delays: number[] = [];
let requests = 0;
before(async () => {
  browser = await openBrowser();
  await lastSeen.start();
});
after(async () => {
  lastSeen.stop();
  await browser.close();
});

const ofType = (visitor: Visitor, type: string): readonly Sent[] => visitor.sent().filter((event) => event.action?.data.type === type);

async function sends(visitor: Visitor, type: string, count: number): Promise<void> {
  await until(`${count} of ${type}`, () => ofType(visitor, type).length >= count);
}

/** From a campaign's landing page to the order. */
async function walk(visitor: Visitor, name: string, user: string): Promise<void> {
  const { page } = visitor;
  await page.goto("/?utm_source=almanac&utm_medium=email&utm_campaign=equinox");
  await sends(visitor, "promo_view", 2);
  await page.getByRole("heading", { name: "This tide" }).scrollIntoViewIfNeeded();
  await page.getByRole("link", { name: /Squall Coat/ }).first().scrollIntoViewIfNeeded();
  await sends(visitor, "list_view", 1);
  await shoot(page, `demo-${name}-home`);
  await page.getByRole("link", { name: "See rainwear" }).click();
  await page.waitForURL("**/category/rainwear");
  await sends(visitor, "promo_click", 1);
  await page.getByRole("link", { name: /Puddle Boots/ }).click();
  await sends(visitor, "product_view", 1);
  await page.getByLabel("42", { exact: true }).check();
  await page.getByRole("button", { name: "Put into the cart" }).click();
  await sends(visitor, "add_to_cart", 1);
  await page.getByRole("searchbox").fill("red lantern");
  await page.getByRole("searchbox").press("Enter");
  await page.waitForURL("**/search?q=red+lantern");
  await page.getByRole("link", { name: /Jetty Lantern/ }).click();
  await sends(visitor, "product_view", 2);
  await page.getByRole("button", { name: "Put into the cart" }).click();
  await sends(visitor, "add_to_cart", 2);
  await page.getByRole("link", { name: /^Cart 2 pieces/ }).click();
  await page.getByRole("button", { name: "One more: Jetty Lantern" }).click();
  await page.getByRole("button", { name: "Remove Jetty Lantern" }).click();
  await page.getByRole("button", { name: "Put back Jetty Lantern" }).click();
  await sends(visitor, "add_to_cart", 4);
  await page.getByRole("link", { name: "Log in" }).click();
  await page.getByLabel("A name for this visit").fill(user);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: `Hello, ${user}` }).waitFor();
  await page.getByRole("link", { name: /^Cart/ }).click();
  await page.getByRole("link", { name: "Check out" }).click();
  await page.getByLabel("Name on the parcel").fill("Grey Heron");
  await page.getByLabel("Street and number").fill("Tidal Flat 3");
  await page.getByLabel("Postcode").fill("1234 AB");
  await page.getByLabel("Town").fill("Oddharbour");
  await page.getByRole("button", { name: "On to delivery" }).click();
  await page.getByText("Gull express").click();
  await page.getByRole("button", { name: "On to payment" }).click();
  await page.getByText("Invoice", { exact: true }).click();
  await page.getByRole("button", { name: "On to the review" }).click();
  await page.getByRole("button", { name: "Place the order" }).click();
  await page.waitForURL("**/order/OH-*");
  await sends(visitor, "transaction", 1);
}

/** After it a visitor knows what the shop can do for them: three looks at a coat, and a wavering cart. */
async function seeReactions(visitor: Visitor, name: string): Promise<void> {
  const { page } = visitor;
  const help = page.getByTestId("help");
  for (let view = 1; view <= 3; view += 1) {
    await page.goto("/category/rainwear");
    await page.getByRole("link", { name: /Squall Coat/ }).click();
    await page.getByRole("heading", { name: "Squall Coat", level: 1 }).waitFor();
    if (view < 3) assert.equal(await help.count(), 0, "no help before the third view");
  }
  await help.getByText("Can we help with the Squall Coat?").waitFor();
  assert.equal(await page.getByRole("link", { name: /^Rainwear.*your favourite department/ }).count(), 1);
  await shoot(page, `demo-${name}-help`);
  await help.getByRole("button", { name: /^Close/ }).click();
  const reminder = page.getByTestId("cart-reminder");
  for (let turn = 1; turn <= 2; turn += 1) {
    await page.getByRole("button", { name: "Put into the cart", exact: true }).click();
    await page.getByRole("link", { name: "See the cart" }).click();
    await page.getByRole("button", { name: "Remove Squall Coat, size M" }).click();
    await page.getByText("There is nothing in your cart.").waitFor();
    if (turn < 2) await page.goBack();
  }
  await reminder.getByText("Still making up your mind?").waitFor();
  await shoot(page, `demo-${name}-reminder`);
}

/** Compares what the store holds with what the events say; times may differ by the way to the collector. */
function compare(what: string, held: Row, wanted: Row) {
  for (const [column, value] of Object.entries(wanted)) {
    const found = held[column] ?? undefined;
    if (column === "last_seen" || column === "session_duration") {
      const number = column === "last_seen" ? Date.parse(String(found)) : Number(found);
      assert.ok(Math.abs(number - Number(value)) <= CLOCK_MS_MAX, `${what}.${column}: ${String(found)}, wanted about ${String(value)}`);
    } else if (typeof value === "number") {
      assert.ok(Math.abs(Number(found) - value) < 1e-9, `${what}.${column}: ${String(found)}, wanted ${value}`);
    } else {
      assert.deepEqual(found, value, `${what}.${column}`);
    }
  }
}

/** Waits until the store holds what all events say; if it never does, says what differs. */
async function settle(check: () => Promise<void>): Promise<void> {
  const end = Date.now() + SETTLED_MS_MAX;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function checkFeatures(visitor: Visitor, user: string, device: string): Promise<void> {
  await settle(async () => {
    // Anew each time: a page's last events leave the browser when they like.
    const sent = visitor.sent();
    const browserId = sent[0]?.raw.duid ?? "";
    const sessions = new Set(sent.map((event) => String(entities(event, "client_session")[0]?.sessionId)));
    assert.equal(sessions.size, 1, "one session");
    for (const key of [browserId, user]) {
      const wanted = featuresOfUser(sent, key);
      const held = await stored("user_key", key);
      assert.deepEqual(Object.keys(held).sort(), Object.keys(wanted).sort(), `the tables that hold ${key}`);
      for (const [table, row] of Object.entries(wanted)) compare(`${key}: ${table}`, held[table] ?? {}, row);
    }
    for (const session of sessions) {
      const held = await stored("session_id", session);
      compare(`${session}: session_features`, held.session_features ?? {}, featuresOfSession(sent, session, device));
    }
  });
}

async function openPanel(page: Page) {
  await page.getByRole("button", { name: /^What the shop knows about you/ }).click();
  await page.getByText("Live from Tidewheel").waitFor();
}

for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]] as const) {
  test(`a visit becomes its features, and the shop reacts (${name})`, async () => {
    const visitor = await arrive(browser, viewport, AGENTS[name]);
    const user = `grey-heron-${name}`;
    await walk(visitor, name, user);
    await checkFeatures(visitor, user, DEVICES[name]);
    await openPanel(visitor.page);
    await visitor.page.locator('[data-feature="purchase_features_24h.orders_count"] .feature-value').getByText("1", { exact: true }).waitFor();
    await shoot(visitor.page, `demo-${name}-panel`);
    await visitor.page.keyboard.press("Escape");
    await seeReactions(visitor, name);
    await checkFeatures(visitor, user, DEVICES[name]);
    visitor.sent().forEach(checkEvent);
    assert.deepEqual(new Set([...visitor.hosts].filter((host) => !KNOWN_HOSTS.has(host))), new Set(), "no other host is asked");
    assert.deepEqual(visitor.trouble, [], "nothing in the console");
    requests += visitor.requests.length;
    console.log(`${visitor.sent().length} events in ${visitor.requests.length} requests, ${visitor.requests.flat().length - visitor.sent().length} sent again`);
    delays.push(...lastSeen.delays(visitor.requests));
    await visitor.context.close();
  });
}

test("from the tracker's sending to the value in the store", () => {
  assert.ok(delays.length >= MEASURED_MIN * requests, `${delays.length} of ${requests} requests moved last_seen`);
  const [half, most, all] = [quantile(delays, 0.5), quantile(delays, 0.95), quantile(delays, 1)];
  console.log(`sent to stored: p50 ${half} ms, p95 ${most} ms, longest ${all} ms, of ${delays.length} requests`);
});
