import { featureTables } from "../sql";
import type { QueryInfo, RowChange, Value } from "../types";
import { readEvents } from "./sse";

/**
 * The adapter to Tidewheel's REST API: all paths and field names of the API are in this file. The rest
 * of the shop knows only the types that these functions return.
 */

/** A request that takes longer has failed. Streams have no such limit. */
const REQUEST_MS_MAX = 4_000;

/** Where the API is; read at each call, so that a test or a container sets it at run time. */
export function apiAddress(): string {
  return (process.env.TIDEWHEEL_URL ?? "http://localhost:8080").replace(/\/+$/, "");
}

function headers(accept: string): Record<string, string> {
  const token = process.env.TIDEWHEEL_TOKEN;
  return { accept, ...(token ? { authorization: `Bearer ${token}` } : {}) };
}

async function get(path: string): Promise<unknown> {
  const response = await fetch(`${apiAddress()}/api/v1${path}`, {
    headers: headers("application/json"),
    cache: "no-store",
    signal: AbortSignal.timeout(REQUEST_MS_MAX),
  });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the engine answered ${response.status} for ${path}`);
  return response.json();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A list may come bare or inside an object. */
function listIn(body: unknown, field: string): readonly unknown[] {
  if (Array.isArray(body)) return body;
  const inner = isRecord(body) ? body[field] : undefined;
  return Array.isArray(inner) ? inner : [];
}

/** The names of all queries that the engine runs. */
export async function listQueries(): Promise<readonly string[]> {
  return listIn(await get("/queries"), "queries").flatMap((item) => {
    if (typeof item === "string") return [item];
    return isRecord(item) && typeof item.name === "string" ? [item.name] : [];
  });
}

/** One query with its SQL, and the feature tables that its file creates. */
export async function readQuery(name: string): Promise<QueryInfo | null> {
  const body = await get(`/queries/${encodeURIComponent(name)}`);
  if (!isRecord(body) || typeof body.sql !== "string") return null;
  return { name, sql: body.sql, tables: featureTables(body.sql) };
}

/** What the sink holds for one key; nothing if it holds nothing. */
export async function readFeatures(table: string, key: string): Promise<Readonly<Record<string, Value>>> {
  const body = await get(`/features/${encodeURIComponent(table)}/${encodeURIComponent(key)}`);
  if (!isRecord(body)) return {};
  for (const field of ["values", "features", "row", "columns"]) {
    const inner = body[field];
    if (isRecord(inner)) return readRow(inner);
  }
  return readRow(body);
}

/**
 * The rows that a query writes, as it writes them. Ends when the engine ends the stream, throws when it
 * breaks. `onOpen` is called once the engine has answered.
 */
export async function* followChanges(name: string, signal: AbortSignal, onOpen: () => void): AsyncGenerator<RowChange> {
  const response = await fetch(`${apiAddress()}/api/v1/queries/${encodeURIComponent(name)}/changes`, {
    headers: headers("text/event-stream"),
    cache: "no-store",
    signal,
  });
  if (!response.ok || !response.body) throw new Error(`the engine answered ${response.status} for the changes of ${name}`);
  onOpen();
  for await (const { data } of readEvents(response.body as unknown as AsyncIterable<Uint8Array>)) {
    const change = readChange(data);
    if (change) yield change;
  }
}

/** An event's data as a change; anything else the stream may say (a heartbeat, a note) is nothing. */
export function readChange(data: string): RowChange | null {
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch {
    return null;
  }
  if (!isRecord(body) || typeof body.table !== "string" || !isRecord(body.row)) return null;
  const at = typeof body.at === "number" ? body.at : Date.parse(String(body.at));
  return {
    table: body.table,
    op: body.op === "delete" ? "delete" : "upsert",
    row: readRow(body.row),
    at: Number.isFinite(at) ? at : Date.now(),
  };
}

function readRow(row: Record<string, unknown>): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, readValue(value)]));
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** Stores keep text: maps, lists, numbers and booleans are read back from theirs. */
export function readValue(value: unknown): Value {
  if (typeof value !== "string") return (value ?? null) as Value;
  if (value === "true" || value === "false") return value === "true";
  if (NUMBER.test(value)) return Number(value);
  if (value.startsWith("{") || value.startsWith("[")) {
    try {
      return JSON.parse(value) as Value;
    } catch {
      return value;
    }
  }
  return value;
}
