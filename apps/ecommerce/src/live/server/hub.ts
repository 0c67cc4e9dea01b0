import type { EngineStatus, Keys, Message, QueryInfo, RowChange, TableInfo } from "../types";
import * as engine from "./engine";

/** How often the engine is asked which queries it runs, while it answers and while it does not. */
const POLL_MS = 5_000;
const POLL_AWAY_MS = 1_500;
/** The wait before a broken stream is opened again; it doubles up to the second. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 8_000;

/** After a delete the sink is read again, this much later: it may be written just after the change is told. */
const REREAD_MS = 300;

/** A browser that listens, with its keys. */
export type Listener = { keys: Keys; send: (message: Message) => void };

type Stream = { info: QueryInfo; abort: AbortController };
type Engine = typeof engine;

/**
 * Shares the engine's streams: one for each query, however many browsers listen, and none while nobody
 * does. A row goes to the listeners whose key it holds. Follows queries that come and go, and opens
 * again what breaks.
 */
export class Hub {
  readonly #listeners = new Set<Listener>();
  readonly #streams = new Map<string, Stream>();
  /** Columns that a change has told a listener while a table is being read for it: newer than the answer. */
  readonly #fresher = new Map<Listener, Map<string, Set<string>>>();
  readonly #engine: Engine;
  #status: EngineStatus | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #polling = false;

  constructor(api: Engine = engine) {
    this.#engine = api;
  }

  /** Adds a listener; the answer takes it away again. */
  join(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#status) listener.send({ type: "status", engine: this.#status });
    if (this.#streams.size > 0) listener.send(this.#queriesMessage());
    for (const { info } of this.#streams.values()) this.#readAll(listener, info);
    if (this.#listeners.size === 1) void this.#poll();
    return () => this.#leave(listener);
  }

  #leave(listener: Listener) {
    this.#listeners.delete(listener);
    this.#fresher.delete(listener);
    if (this.#listeners.size > 0) return;
    clearTimeout(this.#timer);
    for (const stream of this.#streams.values()) stream.abort.abort();
    this.#streams.clear();
    this.#status = undefined;
  }

  #broadcast(message: Message) {
    for (const listener of this.#listeners) listener.send(message);
  }

  #setStatus(status: EngineStatus) {
    if (this.#status === status) return;
    this.#status = status;
    this.#broadcast({ type: "status", engine: status });
  }

  #queriesMessage(): Message {
    return { type: "queries", queries: [...this.#streams.values()].map((stream) => stream.info) };
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    clearTimeout(this.#timer);
    try {
      const names = await this.#engine.listQueries();
      const infos = await Promise.all(names.map((name) => this.#engine.readQuery(name)));
      if (this.#listeners.size === 0) return;
      this.#setStatus("live");
      this.#adopt(infos.filter((info) => info !== null && info.tables.length > 0) as QueryInfo[]);
    } catch {
      this.#setStatus("away");
    } finally {
      this.#polling = false;
      if (this.#listeners.size > 0) {
        this.#timer = setTimeout(() => void this.#poll(), this.#status === "live" ? POLL_MS : POLL_AWAY_MS);
        this.#timer.unref?.();
      }
    }
  }

  #adopt(infos: readonly QueryInfo[]) {
    const wanted = new Set(infos.map((info) => info.name));
    let changed = false;
    for (const [name, stream] of this.#streams) {
      if (wanted.has(name)) continue;
      stream.abort.abort();
      this.#streams.delete(name);
      changed = true;
    }
    for (const info of infos) {
      const stream = this.#streams.get(info.name);
      if (stream?.info.sql === info.sql) continue;
      changed = true;
      stream?.abort.abort();
      const started = { info, abort: new AbortController() };
      this.#streams.set(info.name, started);
      void this.#follow(started);
    }
    if (changed) this.#broadcast(this.#queriesMessage());
  }

  async #follow({ info, abort }: Stream): Promise<void> {
    let wait = RETRY_MS_MIN;
    while (!abort.signal.aborted) {
      try {
        const opened = () => {
          wait = RETRY_MS_MIN;
          for (const listener of this.#listeners) this.#readAll(listener, info);
        };
        for await (const change of this.#engine.followChanges(info.name, abort.signal, opened)) this.#deliver(info, change);
      } catch {
        // Opened again below; whether the engine is away is for the poll to say.
      }
      if (abort.signal.aborted) return;
      void this.#poll();
      await new Promise((resolve) => setTimeout(resolve, wait).unref?.());
      wait = Math.min(wait * 2, RETRY_MS_MAX);
    }
  }

  #deliver(info: QueryInfo, change: RowChange) {
    const table = info.tables.find((candidate) => candidate.table === change.table);
    if (!table) return;
    const key = change.row[table.keyColumn];
    const values = Object.fromEntries(Object.entries(change.row).filter(([column]) => column !== table.keyColumn));
    for (const listener of this.#listeners) {
      if (listener.keys[table.keyColumn] !== String(key)) continue;
      if (change.op === "delete") {
        // A table may have several writers, and one's delete leaves the others' columns alone.
        setTimeout(() => this.#listeners.has(listener) && void this.#read(listener, table), REREAD_MS).unref?.();
        continue;
      }
      const fresher = this.#fresher.get(listener)?.get(table.table);
      for (const column of Object.keys(values)) fresher?.add(column);
      listener.send({ type: "change", table: table.table, values, at: change.at });
    }
  }

  #readAll(listener: Listener, info: QueryInfo) {
    for (const table of info.tables) void this.#read(listener, table);
  }

  async #read(listener: Listener, { table, keyColumn, columns }: TableInfo): Promise<void> {
    const key = listener.keys[keyColumn];
    if (key === "") return;
    const fresher = new Set<string>();
    const tables = this.#fresher.get(listener) ?? new Map<string, Set<string>>();
    this.#fresher.set(listener, tables.set(table, fresher));
    try {
      const held = await this.#engine.readFeatures(table, key);
      if (!this.#listeners.has(listener)) return;
      const known = columns.filter((column) => !fresher.has(column)).map((column) => [column, held[column] ?? null] as const);
      const values = Object.fromEntries(known);
      listener.send({ type: "values", table, values, at: Date.now() });
    } catch {
      // The stream or the poll meets the same trouble and tries again.
    } finally {
      if (tables.get(table) === fresher) tables.delete(table);
    }
  }
}

const held = globalThis as typeof globalThis & { tidewheelHub?: Hub };

/** The one hub of this process; a reload of the code in development keeps it. */
export function hub(): Hub {
  held.tidewheelHub ??= new Hub();
  return held.tidewheelHub;
}
