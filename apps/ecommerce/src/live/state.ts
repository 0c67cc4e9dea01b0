import type { KeyColumn, Message, QueryInfo, Value } from "./types";

/** Of one feature, this many past values are kept. */
export const HISTORY_MAX = 48;
/** Of all features, this many changes are kept for the list of the newest. */
export const NEWS_MAX = 6;

/** A value at a time, as a number that a line can be drawn through. */
export type Point = { at: number; level: number };

/** One feature of the shopper or of the session. */
export type Feature = {
  id: string;
  table: string;
  column: string;
  /** The window in the table's name, such as 5m; empty where there is none. */
  window: string;
  query: string;
  keyColumn: KeyColumn;
  value: Value;
  /** When it changed before the shopper's eyes; null for a value that was there already. */
  changedAt: number | null;
  history: readonly Point[];
  /** Texts that the value has had: a text's level is its place here. */
  texts: readonly string[];
};

/** A change worth telling. */
export type News = { id: string; at: number; from: Value; to: Value };

/** What is kept of a feature when the page is loaded anew. */
export type Past = Pick<Feature, "id" | "value" | "changedAt" | "history" | "texts">;

/** How things stand with the engine: `connecting` until the shop's server has said, `offline` when that is away too. */
export type Connection = "connecting" | "live" | "away" | "offline";

export type LiveState = {
  connection: Connection;
  queries: readonly QueryInfo[];
  features: ReadonlyMap<string, Feature>;
  news: readonly News[];
  /** From before the page was loaded, until the queries have come. */
  past: ReadonlyMap<string, Past>;
};

export const initialState: LiveState = { connection: "connecting", queries: [], features: new Map(), news: [], past: new Map() };

/** Two windows that change to the same value within this time are one piece of news. */
const SAME_NEWS_MS = 1_000;

/** These change with each event: worth showing, not worth telling. */
const NO_NEWS: ReadonlySet<string> = new Set(["last_seen", "session_duration"]);

/** The id of a feature: its table and its column. */
export function featureId(table: string, column: string): string {
  return `${table}.${column}`;
}

function windowOf(table: string): string {
  return /_(\d+(?:s|m|h|d))$/.exec(table)?.[1] ?? "";
}

/** Whether two values are the same to a reader. */
export function sameValue(a: Value, b: Value): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The value as a number: a map's is its sum, a list's its length, a text's its place among those seen. */
function levelOf(value: Value, texts: readonly string[]): { level: number; texts: readonly string[] } {
  if (value === null) return { level: 0, texts };
  if (typeof value === "number") return { level: value, texts };
  if (typeof value === "boolean") return { level: value ? 1 : 0, texts };
  if (Array.isArray(value)) return { level: value.length, texts };
  if (typeof value === "object") {
    return { level: Object.values(value).reduce<number>((sum, part) => sum + (typeof part === "number" ? part : 0), 0), texts };
  }
  const place = texts.indexOf(value);
  if (place >= 0) return { level: place + 1, texts };
  return { level: texts.length + 1, texts: [...texts, value].slice(-HISTORY_MAX) };
}

function withValue(feature: Feature, value: Value, at: number, seen: boolean): Feature {
  const { level, texts } = levelOf(value, feature.texts);
  return {
    ...feature, value, texts,
    changedAt: seen ? at : feature.changedAt,
    history: [...feature.history, { at, level }].slice(-HISTORY_MAX),
  };
}

/** Every feature that the queries promise, with what is known of it already. */
function adoptQueries(state: LiveState, queries: readonly QueryInfo[]): LiveState {
  const features = new Map<string, Feature>();
  for (const query of queries) {
    for (const { table, keyColumn, columns } of query.tables) {
      for (const column of columns) {
        const id = featureId(table, column);
        const known = state.features.get(id) ?? state.past.get(id);
        features.set(id, {
          ...(known ?? { value: null, changedAt: null, history: [], texts: [] }),
          id, table, column, keyColumn, query: query.name, window: windowOf(table),
        });
      }
    }
  }
  return { ...state, queries, features, past: new Map() };
}

function adoptValues(state: LiveState, message: Extract<Message, { type: "values" | "change" }>): LiveState {
  const features = new Map(state.features);
  const news: News[] = [];
  for (const [column, value] of Object.entries(message.values)) {
    const id = featureId(message.table, column);
    const feature = features.get(id);
    if (!feature) continue;
    const first = feature.history.length === 0;
    if (first && value === null) continue;
    if (!first && sameValue(feature.value, value)) continue;
    // What is read at the start is not news; what differs after a break is.
    const seen = message.type === "change" || !first;
    features.set(id, withValue(feature, value, message.at, seen));
    const piece = { id, at: message.at, from: feature.value, to: value };
    if (seen && !NO_NEWS.has(column) && !told(piece, feature.column, [...news, ...state.news], features)) news.unshift(piece);
  }
  return { ...state, features, news: [...news, ...state.news].slice(0, NEWS_MAX) };
}

/** Whether another window of the same column has just told the same. */
function told(piece: News, column: string, news: readonly News[], features: ReadonlyMap<string, Feature>): boolean {
  return news.some((other) =>
    other.id !== piece.id && features.get(other.id)?.column === column
    && Math.abs(other.at - piece.at) < SAME_NEWS_MS && sameValue(other.to, piece.to));
}

/** The state after a message from the shop's server. */
export function reduce(state: LiveState, message: Message): LiveState {
  switch (message.type) {
    case "status":
      return { ...state, connection: message.engine };
    case "queries":
      return adoptQueries(state, message.queries);
    default:
      return adoptValues(state, message);
  }
}

/** The state for other keys: the features stay, their values go. */
export function forgetValues(state: LiveState, keyColumns: readonly KeyColumn[]): LiveState {
  const features = new Map(
    Array.from(state.features, ([id, feature]) =>
      keyColumns.includes(feature.keyColumn) ? ([id, { ...feature, value: null, changedAt: null, history: [], texts: [] }] as const) : ([id, feature] as const)),
  );
  return { ...state, features, past: new Map(), news: state.news.filter(({ id }) => features.get(id)?.history.length) };
}
