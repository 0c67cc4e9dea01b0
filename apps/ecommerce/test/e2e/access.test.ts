import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { DESKTOP, PHONE, shoot, Stage } from "./support/stage";

const stage = new Stage();
before(() => stage.start());
afterEach(() => stage.closeVisits());
after(() => stage.stop());

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PATHS = ["/", "/category/woollens", "/category/lanterns", "/product/shingle-jumper", "/product/catspaw-pinwheel", "/search?q=red", "/search?q=nosuchthing", "/cart", "/login", "/order/none", "/nowhere"];

/** What a first load may weigh in script, as sent. */
const SCRIPT_BYTES_MAX = 200_000;

type Violation = { id: string; nodes: { html: string; failureSummary: string }[] };

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: (options: unknown) => Promise<{ violations: Violation[] }> } };
    return (await axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })).violations;
  });
  return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary}`));
}

for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]] as const) {
  test(`no page has a known barrier, and none is wider than its screen (${name})`, async () => {
    const { page } = await stage.visit(viewport);
    await page.emulateMedia({ reducedMotion: "reduce" });
    const failed: string[] = [];
    const check = async (where: string) => {
      failed.push(...(await violations(page)).map((violation) => `${where}: ${violation}`));
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (over > 0) failed.push(`${where} is ${over} px too wide`);
    };
    for (const path of PATHS) {
      await page.goto(path);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await check(path);
    }
    await page.goto("/product/pilot-jumper");
    await page.getByRole("button", { name: "Put into the cart" }).click();
    await page.getByText("In your cart").waitFor();
    await page.goto("/cart");
    await page.getByRole("link", { name: "Check out" }).waitFor();
    await check("/cart with a line");
    await page.getByRole("link", { name: "Check out" }).click();
    await page.getByRole("button", { name: "On to delivery" }).click();
    await page.getByText("Write the town.").waitFor();
    await check("/checkout/address with errors");
    await page.getByRole("button", { name: /^What the shop knows/ }).click();
    await page.getByText("Live from Tidewheel").waitFor();
    await page.getByRole("button", { name: /^SQL of/ }).first().click();
    await check("the panel");
    assert.deepEqual(failed, []);
  });
}

for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]] as const) {
  test(`the first load is light, and nothing in it moves (${name})`, async () => {
    for (const path of ["/", "/category/kites", "/product/herring-kite", "/search?q=red", "/cart", "/login"]) {
      // An empty browser each time: what it loads is all that the page needs.
      const { page, context } = await stage.visit(viewport);
      const scripts: Promise<Buffer>[] = [];
      page.on("response", (response) => {
        if (response.request().resourceType() === "script") scripts.push(response.body());
      });
      await page.addInitScript(() => {
        const shifts = window as unknown as { shifts: string[] };
        shifts.shifts = [];
        type Shift = { value: number; sources: { node: Element | null }[] };
        new PerformanceObserver((list) => {
          for (const { value, sources } of list.getEntries() as unknown as Shift[]) {
            shifts.shifts.push(`${value}: ${sources.map(({ node }) => node?.parentElement?.outerHTML.slice(0, 80)).join(", ")}`);
          }
        }).observe({ type: "layout-shift", buffered: true });
      });
      await page.goto(path, { waitUntil: "networkidle" }).catch(() => undefined);
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500)));
      const bytes = (await Promise.all(scripts)).reduce((sum, body) => sum + gzipSync(body).length, 0);
      console.log(`# ${path}: ${scripts.length} scripts, ${bytes} bytes gzipped`);
      assert.ok(bytes > 0 && bytes < SCRIPT_BYTES_MAX, `${path} loads ${bytes} bytes of script`);
      assert.deepEqual(await page.evaluate(() => (window as unknown as { shifts: string[] }).shifts), [], `${path} moves`);
      await context.close();
    }
  });
}

test("a browser that asks for an icon by its usual name gets it", async () => {
  const answer = await fetch(`${stage.shop.url}/favicon.ico`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "image/svg+xml");
});

test("the shop can be walked by keyboard alone", async () => {
  const { page } = await stage.visit();
  await page.goto("/category/galley");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
  await shoot(page, "keyboard-skip");
  await page.keyboard.press("Enter");
  const visited: string[] = [];
  for (let press = 0; press < 8 && !visited.at(-1)?.includes("Bosun Mug"); press += 1) {
    await page.keyboard.press("Tab");
    visited.push(await page.evaluate(() => document.activeElement?.textContent ?? ""));
  }
  assert.match(visited.at(-1) ?? "", /Bosun Mug/, "the list follows at once after the skip link");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle), "none", "the focus is seen");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/product/bosun-mug");
  await page.getByRole("button", { name: "Put into the cart" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("In your cart. It now comes to €14.50.").waitFor();
});
