import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { openBrowser } from "../e2e/support/shop";
import { DESKTOP, PHONE, shoot } from "../e2e/support/stage";
import { SHOP, TIDEWHEEL } from "./running";

/** Tidewheel's own page, over the running demo after a visit. */

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser: Browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

for (const [name, viewport, colorScheme] of [["desktop", DESKTOP, "light"], ["dark", DESKTOP, "dark"], ["phone", PHONE, "light"]] as const) {
  test(`the page shows what runs, and a key's features (${name})`, async () => {
    const context = await browser.newContext({ viewport, colorScheme, baseURL: TIDEWHEEL, bypassCSP: true });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const trouble: string[] = [];
    const hosts = new Set<string>();
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") trouble.push(message.text());
    });
    page.on("pageerror", (error) => trouble.push(error.message));
    page.on("request", (request) => hosts.add(new URL(request.url()).origin));
    const listens = page.waitForResponse(/\/changes$/);
    await page.goto("/");
    await page.getByText("all is well").waitFor();
    const source = page.locator("#sources tr", { hasText: "shopper_events" });
    await source.getByText("reading").waitFor();
    const queries = page.locator("#query-rows tr");
    await queries.filter({ hasText: "products" }).getByText("running").waitFor();
    assert.ok((await queries.count()) >= 8, "all files of the folder");
    await page.getByRole("link", { name: "Shop", exact: true }).waitFor();

    // Whoever does anything is offered, though it moves one query's values only.
    await listens;
    const visitor = await browser.newContext();
    await (await visitor.newPage()).goto(`${SHOP}/cart`);
    await page.locator("#recent button").first().waitFor();
    await visitor.close();

    // Somebody who is known from a visit.
    await page.getByLabel("Key", { exact: true }).fill("grey-heron-desktop");
    await page.getByRole("button", { name: "Follow" }).click();
    const orders = page.locator("#feature-rows tr", { hasText: "orders_count" });
    await orders.getByText("1", { exact: true }).waitFor();
    await page.getByLabel("Key", { exact: true }).fill("nobody");
    await page.getByRole("button", { name: "Follow" }).click();
    await page.getByText("No table holds this key now.").waitFor();
    await page.getByLabel("Key", { exact: true }).fill("grey-heron-desktop");
    await page.getByRole("button", { name: "Follow" }).click();
    await orders.waitFor();
    await shoot(page, `page-${name}`);
    // Rows are drawn anew all the time: the body of the table stays.
    await page.evaluate(() => document.getElementById("feature-rows")?.scrollIntoView());
    await shoot(page, `page-${name}-features`);

    await page.evaluate(AXE);
    const barriers = await page.evaluate(async () => {
      const { axe } = window as unknown as { axe: { run: () => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
      return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
    });
    assert.deepEqual(barriers, []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "no sideways scrolling");
    assert.deepEqual([...hosts], [TIDEWHEEL], "nothing comes from elsewhere");
    assert.deepEqual(trouble, []);
    await context.close();
  });
}
