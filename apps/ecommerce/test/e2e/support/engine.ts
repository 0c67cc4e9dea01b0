import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { entities, type Sent } from "./collector";

const QUERIES = join(import.meta.dirname, "../../../../../queries");

type Row = Record<string, unknown>;

/** Which query file owns which table that this stand-in writes. */
const OWNER: Readonly<Record<string, string>> = {
  product_features_5m: "products", product_features_1h: "products", product_brand_5m: "products",
  category_features_5m: "categories", category_features_1h: "categories",
  cart_features_5m: "cart", cart_features_1h: "cart", session_features: "sessions", purchase_features_24h: "purchases",
};

/**
 * A stand-in for Tidewheel's REST API over the catalogue's own SQL files. It counts the few features
 * that the tests look at, without windows.
 */
export class TestEngine {
  readonly #queries = new Map(
    readdirSync(QUERIES).filter((file) => file.endsWith(".sql")).map((file) => [file.replace(".sql", ""), readFileSync(join(QUERIES, file), "utf8")]),
  );
  readonly #owners = new Map(Object.entries(OWNER));
  readonly #rows = new Map<string, Row>();
  readonly #streams = new Map<string, Set<ServerResponse>>();
  #server: Server | undefined;
  url = "";
  port = 0;

  async start(port = 0): Promise<void> {
    this.#server = createServer((request, response) => this.#answer(request.url ?? "", response));
    await new Promise<void>((resolve) => this.#server?.listen(port, "127.0.0.1", resolve));
    this.port = (this.#server.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  /** How many streams of changes are open for a query. */
  streams(query: string): number {
    return this.#streams.get(query)?.size ?? 0;
  }

  #answer(path: string, response: ServerResponse) {
    const parts = path.replace("/api/v1/", "").split("/").map(decodeURIComponent);
    const json = (body: unknown) => response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    const [kind, name = "", last] = parts;
    if (kind === "queries" && name === "") return json({ queries: [...this.#queries.keys()].map((query) => ({ name: query, state: "running" })) });
    if (kind === "queries" && last === undefined) return json({ name, state: "running", etag: "1", sql: this.#queries.get(name) });
    if (kind === "features") {
      const row = this.#rows.get(`${name}/${last}`);
      return json({ table: name, key: {}, found: row !== undefined, values: row ?? {}, ttl_ms: null });
    }
    if (kind === "queries" && last === "changes") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: listening\ndata: {"query":"${name}"}\n\n`);
      const open = this.#streams.get(name) ?? new Set();
      this.#streams.set(name, open.add(response));
      response.on("close", () => open.delete(response));
      return;
    }
    response.writeHead(404).end();
  }

  /** Writes columns of a row and tells those who follow. */
  write(table: string, keyColumn: string, key: string, columns: Row) {
    const row = { ...this.#rows.get(`${table}/${key}`), ...columns, [keyColumn]: key };
    this.#rows.set(`${table}/${key}`, row);
    const data = JSON.stringify({ op: "upsert", query: this.#owners.get(table), table, row: { [keyColumn]: key, ...columns } });
    for (const stream of this.#streams.get(this.#owners.get(table) ?? "") ?? []) stream.write(`event: change\ndata: ${data}\n\n`);
  }

  /** Adds a query file, as somebody would over the API. */
  addQuery(name: string, sql: string, table: string) {
    this.#queries.set(name, sql);
    this.#owners.set(table, name);
  }

  #count(table: string, key: string, column: string, by = 1) {
    const before = Number(this.#rows.get(`${table}/${key}`)?.[column] ?? 0);
    this.write(table, "user_key", key, { [column]: before + by });
  }

  #countIn(table: string, key: string, column: string, entry: string): Record<string, number> {
    const before = (this.#rows.get(`${table}/${key}`)?.[column] ?? {}) as Record<string, number>;
    const after = { ...before, [entry]: (before[entry] ?? 0) + 1 };
    this.write(table, "user_key", key, { [column]: after });
    return after;
  }

  /** Counts an event as the catalogue's queries would. */
  apply(event: Sent): void {
    const key = event.raw.uid ?? event.raw.duid ?? "";
    const session = event.raw.sid ?? "";
    const type = event.action?.data.type;
    const product = entities(event, "product")[0];
    if (event.raw.e === "pv") {
      const pages = Number(this.#rows.get(`session_features/${session}`)?.session_page_count ?? 0) + 1;
      this.write("session_features", "session_id", session, { session_page_count: pages, session_bounce: pages < 2 });
    }
    if (type === "product_view" && product) {
      for (const window of ["5m", "1h"]) {
        const seen = this.#countIn(`product_features_${window}`, key, "return_view_count", String(product.id));
        this.write(`product_features_${window}`, "user_key", key, { product_view_count: Object.keys(seen).length });
      }
      this.write("product_brand_5m", "user_key", key, { most_viewed_brand: product.brand });
    }
    const category = type === "product_view" ? product?.category : type === "list_view" ? event.action?.data.name : undefined;
    if (category) {
      for (const window of ["5m", "1h"]) {
        const table = `category_features_${window}`;
        const views = this.#countIn(table, key, "category_view_count", String(category));
        const top = Object.entries(views).reduce((a, b) => (b[1] >= a[1] ? b : a))[0];
        this.write(table, "user_key", key, { top_category: top, unique_categories: Object.keys(views).length });
      }
    }
    if (type === "add_to_cart" || type === "remove_from_cart") {
      for (const window of ["5m", "1h"]) {
        this.#count(`cart_features_${window}`, key, type === "add_to_cart" ? "cart_add_count" : "cart_remove_count");
        this.#count(`cart_features_${window}`, key, "cart_update_frequency");
        this.write(`cart_features_${window}`, "user_key", key, { cart_value: entities(event, "cart")[0]?.total_value });
      }
    }
    if (type === "transaction") {
      this.#count("purchase_features_24h", key, "orders_count");
      this.#count("purchase_features_24h", key, "order_value", Number(entities(event, "transaction")[0]?.revenue));
    }
  }
}
