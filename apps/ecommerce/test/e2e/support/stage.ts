import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { TestCollector } from "./collector";
import { TestEngine } from "./engine";
import { openBrowser, TestShop } from "./shop";

const SHOTS = process.env.SCREENSHOTS ?? join(import.meta.dirname, "../screenshots");

export const DESKTOP = { width: 1360, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** How long a test waits for something that must come. */
const WAIT_MS_MAX = 10_000;

/** A visitor's page, and what went wrong on it. */
export type Visit = { page: Page; context: BrowserContext; trouble: string[]; hosts: Set<string> };

/** The shop, a browser, and stand-ins for its two neighbours, all on this machine. */
export class Stage {
  readonly collector = new TestCollector();
  readonly engine = new TestEngine();
  readonly shop = new TestShop();
  browser!: Browser;
  readonly #contexts: BrowserContext[] = [];

  async start(): Promise<void> {
    await this.collector.start();
    await this.engine.start();
    this.collector.onEvent = (event) => this.engine.apply(event);
    await this.shop.start({ COLLECTOR_URL: this.collector.url, TIDEWHEEL_URL: this.engine.url });
    this.browser = await openBrowser();
  }

  async stop(): Promise<void> {
    await this.browser?.close();
    await this.shop.stop();
    await Promise.all([this.collector.stop(), this.engine.stop()]);
  }

  /** Sends all visitors home. */
  async closeVisits(): Promise<void> {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }

  /** A new visitor, with an empty browser. */
  async visit(viewport = DESKTOP): Promise<Visit> {
    const context = await this.browser.newContext({ viewport, baseURL: this.shop.url, hasTouch: viewport === PHONE });
    this.#contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS_MAX);
    const trouble: string[] = [];
    const hosts = new Set<string>();
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") trouble.push(message.text());
    });
    page.on("pageerror", (error) => trouble.push(error.message));
    page.on("request", (request) => {
      if (/^(https?|wss?):/.test(request.url())) hosts.add(new URL(request.url()).origin);
    });
    return { page, context, trouble, hosts };
  }
}

/** Waits until a condition holds; says what it was if it never does. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS_MAX;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A picture for people to look at; not kept in the repository. */
export async function shoot(page: Page, name: string): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  // As somebody sees it who looks at it: what moves has come to rest, and pictures in sight are there.
  await page.evaluate(async () => {
    const passing = document.getAnimations().filter((one) => one.effect?.getTiming().iterations !== Infinity);
    const inSight = [...document.images].filter((image) => image.getBoundingClientRect().top < window.innerHeight);
    await Promise.all([...passing.map((one) => one.finished.catch(() => undefined)), ...inSight.map((image) => image.decode().catch(() => undefined))]);
  });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}
