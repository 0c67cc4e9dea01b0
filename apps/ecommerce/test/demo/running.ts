import type { Browser, BrowserContext, Page, Request } from "playwright-core";
import type { Json, Sent } from "../e2e/support/collector";

export const SHOP = process.env.SHOP_URL ?? "http://localhost:3000";
const COLLECTOR = process.env.COLLECTOR_URL ?? "http://localhost:9090";
export const TIDEWHEEL = process.env.TIDEWHEEL_URL ?? "http://localhost:8080";

/** How long a step of a visit may take to show. */
const WAIT_MS_MAX = 15_000;

/** A visitor of the running shop, and all that their browser sent. */
export type Visitor = {
  page: Page; context: BrowserContext; requests: (readonly Sent[])[]; trouble: string[]; hosts: Set<string>;
  sent: () => readonly Sent[];
};

function eventsOf(request: Request): readonly Sent[] {
  const body = request.postData();
  if (!body) return [];
  return (JSON.parse(body) as { data: Record<string, string>[] }).data.map((raw) => ({
    raw,
    ...(raw.ue_pr ? { action: (JSON.parse(raw.ue_pr) as { data: Json }).data } : {}),
    entities: raw.co ? (JSON.parse(raw.co) as { data: Json[] }).data : [],
  }));
}

/** Each event once: a page that is left before the answer came has its last request sent again from the next one. */
function once(events: readonly Sent[]): readonly Sent[] {
  return [...new Map(events.map((event) => [event.raw.eid, event])).values()];
}

/** Opens the shop's neighbours to a new visitor with an empty browser. */
export async function arrive(browser: Browser, viewport: { width: number; height: number }, userAgent: string): Promise<Visitor> {
  const context = await browser.newContext({ viewport, userAgent, baseURL: SHOP, hasTouch: viewport.width < 600, timezoneId: "Europe/Amsterdam" });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS_MAX);
  const requests: (readonly Sent[])[] = [];
  const trouble: string[] = [];
  const hosts = new Set<string>();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") trouble.push(message.text());
  });
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("response", (response) => {
    if (response.status() >= 400) trouble.push(`${response.status()} ${response.request().method()} ${response.url()}`);
  });
  page.on("request", (request) => {
    if (!/^https?:/.test(request.url())) return;
    hosts.add(new URL(request.url()).origin);
    if (request.method() === "POST" && request.url().startsWith(COLLECTOR)) requests.push(eventsOf(request));
  });
  return { page, context, requests, trouble, hosts, sent: () => once(requests.flat()) };
}

/** The shop and the collector: all that a visitor's browser may ask. */
export const KNOWN_HOSTS: ReadonlySet<string> = new Set([SHOP, COLLECTOR]);

/** What the store holds for a key, by table; tables without it are left out. */
export async function stored(column: string, key: string): Promise<Readonly<Record<string, Record<string, unknown>>>> {
  const query = new URLSearchParams({ key, column });
  const answer = await fetch(`${TIDEWHEEL}/api/v1/features?${query}`);
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  const { features } = (await answer.json()) as { features: { table: string; found: boolean; values: Record<string, unknown> }[] };
  return Object.fromEntries(features.filter(({ found }) => found).map(({ table, values }) => [table, values]));
}

/** The moments at which a shopper's `last_seen` was acknowledged by the store, as Tidewheel tells of them. */
export class LastSeen {
  readonly #stop = new AbortController();
  readonly #changes: { at: number; lastSeen: number }[] = [];

  async start(): Promise<void> {
    const answer = await fetch(`${TIDEWHEEL}/api/v1/queries/shoppers/changes`, { signal: this.#stop.signal });
    if (!answer.ok || !answer.body) throw new Error(`no changes: ${answer.status}`);
    void this.#read(answer.body);
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    const text = new TextDecoder();
    try {
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
        const lines = (rest + text.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines.filter((one) => one.startsWith("data:"))) {
          const { table, row } = JSON.parse(line.slice(5)) as { table?: string; row?: { last_seen?: string } };
          if (table === "shopper_last_seen" && row?.last_seen) this.#changes.push({ at: Date.now(), lastSeen: Date.parse(row.last_seen) });
        }
      }
    } catch {
      // Stopped.
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  /**
   * For each request, the milliseconds from the moment that the tracker wrote into it as that of sending to
   * the store's first value that its newest event is part of.
   */
  delays(requests: readonly (readonly Sent[])[]): readonly number[] {
    return requests.flatMap((events) => {
      const newest = Math.max(...events.map((event) => Number(event.raw.dtm)));
      const sent = Math.max(...events.map((event) => Number(event.raw.stm)));
      const seen = this.#changes.find((change) => change.at >= sent && change.lastSeen >= newest);
      return seen ? [seen.at - sent] : [];
    });
  }
}

/** The value that a share of all is at most. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? NaN;
}
