import assert from "node:assert/strict";
import { test } from "node:test";
import { Hub, type Listener } from "@/live/server/hub";
import type { Message, RowChange, Value } from "@/live/types";

const SQL = "CREATE TABLE t_5m (user_key STRING, a BIGINT, b BIGINT, PRIMARY KEY (user_key) NOT ENFORCED) WITH ('x'='y'); INSERT INTO t_5m SELECT 1";
const INFO = { name: "q", sql: SQL, tables: [{ table: "t_5m", keyColumn: "user_key" as const, columns: ["a", "b"] }] };

/** An engine that the test holds in its hand. */
class FakeEngine {
  away = false;
  opened = 0;
  open = 0;
  held = new Map<string, Record<string, Value>>();
  reading: (() => Promise<void>) | undefined;
  #push: ((change: RowChange | null) => void) | undefined;

  api = {
    apiAddress: () => "",
    readChange: () => null,
    readValue: () => null,
    listQueries: async () => {
      if (this.away) throw new Error("away");
      return ["q", "none"];
    },
    readQuery: async (name: string) => (name === "q" ? INFO : null),
    readFeatures: async (_table: string, key: string) => {
      const held = this.held.get(key) ?? {};
      await this.reading?.();
      return held;
    },
    followChanges: (_name: string, signal: AbortSignal, onOpen: () => void) => this.#follow(signal, onOpen),
  };

  async *#follow(signal: AbortSignal, onOpen: () => void): AsyncGenerator<RowChange> {
    if (this.away) throw new Error("away");
    this.opened += 1;
    this.open += 1;
    onOpen();
    try {
      for (;;) {
        const change = await new Promise<RowChange | null>((resolve) => {
          this.#push = resolve;
          signal.addEventListener("abort", () => resolve(null));
        });
        if (change === null) return;
        yield change;
      }
    } finally {
      this.open -= 1;
    }
  }

  async change(row: Record<string, Value>, op: RowChange["op"] = "upsert"): Promise<void> {
    this.#push?.({ table: "t_5m", op, row, at: 1 });
    await settle();
  }

  async break(): Promise<void> {
    this.#push?.(null);
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !holds(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}

function listener(user: string): Listener & { got: Message[] } {
  const got: Message[] = [];
  return { keys: { user_key: user, session_id: "s" }, send: (message) => got.push(message), got };
}

test("listeners share a stream, and each gets its own key's rows", async () => {
  const engine = new FakeEngine();
  engine.held.set("ann", { a: 1, user_key: "ann" });
  const hub = new Hub(engine.api);
  const [one, two] = [listener("ann"), listener("42")];
  const leaveOne = hub.join(one);
  const leaveTwo = hub.join(two);
  await settle();
  assert.equal(engine.opened, 1);
  assert.deepEqual(one.got.filter((message) => message.type !== "values").map((message) => message.type), ["status", "queries"]);
  assert.deepEqual(one.got.findLast((message) => message.type === "values"), { type: "values", table: "t_5m", values: { a: 1, b: null }, at: (one.got.findLast((message) => message.type === "values") as { at: number }).at });
  await engine.change({ user_key: "ann", a: 2 });
  await engine.change({ user_key: 42, b: 7 });
  await engine.change({ user_key: null, b: 9 });
  assert.deepEqual(one.got.filter((message) => message.type === "change"), [{ type: "change", table: "t_5m", values: { a: 2 }, at: 1 }]);
  assert.deepEqual(two.got.filter((message) => message.type === "change"), [{ type: "change", table: "t_5m", values: { b: 7 }, at: 1 }]);
  leaveOne();
  assert.equal(engine.open, 1, "another still listens");
  leaveTwo();
  await settle();
  assert.equal(engine.open, 0, "nobody listens, nothing is asked");
});

test("an answer that is older than a change does not undo it", async () => {
  const engine = new FakeEngine();
  engine.held.set("ann", { a: 1, b: 1 });
  const hub = new Hub(engine.api);
  const first = listener("bob");
  const leaveFirst = hub.join(first);
  await settle();
  let answer = () => {};
  engine.reading = () => new Promise((resolve) => (answer = resolve));
  const late = listener("ann");
  const leave = hub.join(late);
  await engine.change({ user_key: "ann", a: 2 });
  answer();
  await settle();
  assert.deepEqual(late.got.filter((message) => message.type === "values" || message.type === "change").map((message) => ("values" in message ? message.values : null)), [{ a: 2 }, { b: 1 }]);
  leave();
  leaveFirst();
});

test("a delete is looked up, for other writers' columns stay", async () => {
  const engine = new FakeEngine();
  engine.held.set("ann", { a: 1, b: 1 });
  const hub = new Hub(engine.api);
  const one = listener("ann");
  const leave = hub.join(one);
  await settle();
  engine.held.set("ann", { b: 1 });
  const before = one.got.length;
  await engine.change({ user_key: "ann" }, "delete");
  await until(() => one.got.length > before);
  assert.deepEqual((one.got.at(-1) as { values: unknown }).values, { a: null, b: 1 });
  leave();
});

test("an engine that goes away is told of, and followed again when it is back", async () => {
  const engine = new FakeEngine();
  const hub = new Hub(engine.api);
  const one = listener("ann");
  const leave = hub.join(one);
  await settle();
  engine.away = true;
  await engine.break();
  await until(() => one.got.some((message) => message.type === "status" && message.engine === "away"));
  engine.away = false;
  engine.held.set("ann", { a: 5 });
  await until(() => engine.open === 1);
  await until(() => one.got.some((message) => message.type === "values" && message.values.a === 5));
  await until(() => one.got.findLast((message) => message.type === "status")?.type === "status" && (one.got.findLast((message) => message.type === "status") as { engine: string }).engine === "live");
  assert.equal(engine.opened, 2);
  leave();
  await settle();
  assert.equal(engine.open, 0);
});
