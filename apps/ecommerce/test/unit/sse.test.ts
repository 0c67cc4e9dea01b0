import assert from "node:assert/strict";
import { test } from "node:test";
import { readChange, readValue } from "@/live/server/engine";
import { EVENT_CHARS_MAX, formatEvent, readEvents, type ServerSentEvent } from "@/live/server/sse";

async function* cut(bytes: Uint8Array, sizes: Iterable<number>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) return;
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}

async function read(text: string, sizes: Iterable<number> = []): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of readEvents(cut(new TextEncoder().encode(text), sizes))) events.push(event);
  return events;
}

const STREAM = ": hello\r\n\r\nevent: change\r\ndata: {\"a\":\ndata:1}\r\n\r\nid: 4\rretry: 9\rdata: ä€🦆\r\rdata\n\nevent: empty\n\ndata:  two\n\ndata: never finished";
const EVENTS = [{ event: "change", data: '{"a":\n1}' }, { event: "message", data: "ä€🦆" }, { event: "message", data: "" }, { event: "message", data: " two" }];

test("events are the same wherever the bytes are cut", async () => {
  assert.deepEqual(await read(STREAM), EVENTS);
  const length = new TextEncoder().encode(STREAM).length;
  for (let at = 0; at <= length; at += 1) assert.deepEqual(await read(STREAM, [at]), EVENTS, `cut at ${at}`);
  for (const size of [1, 2, 3, 5, 7]) assert.deepEqual(await read(STREAM, Array.from({ length }, () => size)), EVENTS, `cut every ${size}`);
});

test("what is written is read again", async () => {
  const message = { text: "line\nbreak\r\n", list: [1, null, "ü"] };
  assert.deepEqual((await read(formatEvent(message))).map((event) => JSON.parse(event.data)), [message]);
});

test("an event without an end is given up, in one line or in many", async () => {
  await assert.rejects(read(`data: ${"x".repeat(EVENT_CHARS_MAX + 1)}`), /longer than/);
  await assert.rejects(read(`data: ${"x".repeat(1_000)}\n`.repeat(1_100)), /longer than/);
  assert.equal((await read(`data: ${"x".repeat(1_000)}\n\n`.repeat(1_100))).length, 1_100);
});

test("a change is read, and what is none is passed over", () => {
  const before = Date.now();
  const change = readChange('{"op":"upsert","query":"cart","table":"cart_features_5m","row":{"user_key":"42","cart_value":"129.99","cart_add_count":2}}');
  assert.deepEqual(change?.row, { user_key: 42, cart_value: 129.99, cart_add_count: 2 });
  assert.ok(change && change.at >= before, "without a time it is now");
  assert.equal(readChange('{"table":"t","op":"delete","row":{"user_key":"a"},"at":17}')?.op, "delete");
  assert.equal(readChange('{"table":"t","row":{},"at":"1970-01-01T00:00:01.000Z"}')?.at, 1_000);
  for (const nothing of ["", "{", "null", "[]", "7", "{}", '{"table":"t"}', '{"table":3,"row":{}}', '{"table":"t","row":[]}', '{"query":"products"}']) assert.equal(readChange(nothing), null, nothing);
});

test("text from a store is read back as what it was", () => {
  assert.deepEqual(['{"a":2}', "[1]", "true", "false", "12.5", "-3", "0.0", "", "007", "1.2.3", "25.99-168.0", "{broken", "Brand Ü", "2026-01-01T00:00:00.000Z"].map(readValue),
    [{ a: 2 }, [1], true, false, 12.5, -3, 0, "", "007", "1.2.3", "25.99-168.0", "{broken", "Brand Ü", "2026-01-01T00:00:00.000Z"]);
  assert.equal(readValue(undefined), null);
});
