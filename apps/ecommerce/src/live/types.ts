/** The columns that a feature table may be keyed by, for this shop to show it. */
export const KEY_COLUMNS = ["user_key", "session_id"] as const;

export type KeyColumn = (typeof KEY_COLUMNS)[number];

/** A feature's value: plain, or a list or map of plain ones. */
export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };

/** A table that holds one row of features for each shopper or session. */
export type TableInfo = { table: string; keyColumn: KeyColumn; columns: readonly string[] };

/** A query file of the engine. */
export type QueryInfo = { name: string; sql: string; tables: readonly TableInfo[] };

/** A row that the engine has just written. `at` is in milliseconds since 1970. */
export type RowChange = { table: string; op: "upsert" | "delete"; row: Readonly<Record<string, Value>>; at: number };

/** Whether the engine answers. */
export type EngineStatus = "live" | "away";

/** What the shop's server tells a browser. */
export type Message =
  | { type: "status"; engine: EngineStatus }
  | { type: "queries"; queries: readonly QueryInfo[] }
  | { type: "values"; table: string; values: Readonly<Record<string, Value>>; at: number }
  | { type: "change"; table: string; values: Readonly<Record<string, Value>>; at: number };

/** The shopper's keys, by the column that holds them. */
export type Keys = Readonly<Record<KeyColumn, string>>;
