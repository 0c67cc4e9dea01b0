/** One event of a stream of server-sent events. */
export type ServerSentEvent = { event: string; data: string };

/** An event longer than this is no event of ours: the stream is given up. */
export const EVENT_CHARS_MAX = 1_000_000;

/** The text of one event, to be sent. */
export function formatEvent(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/**
 * Reads events from a byte stream as WHATWG HTML, section "Server-sent events", defines them, wherever
 * the chunks are cut. Ids and retry times are not kept. An event without its closing empty line is
 * dropped, as the standard says.
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let buffer = "";
  let event = "";
  let data: string[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    buffer += decoder.decode(chunk, { stream: true });
    for (;;) {
      const end = lineEnd(buffer);
      if (!end) break;
      const line = buffer.slice(0, end.at);
      buffer = buffer.slice(end.next);
      if (line === "") {
        if (data.length > 0) yield { event: event || "message", data: data.join("\n") };
        event = "";
        data = [];
        size = 0;
        continue;
      }
      size += line.length;
      if (size > EVENT_CHARS_MAX) break;
      const [field, value] = splitField(line);
      if (field === "data") data.push(value);
      else if (field === "event") event = value;
    }
    if (size + buffer.length > EVENT_CHARS_MAX) throw new Error(`a server-sent event is longer than ${EVENT_CHARS_MAX} characters`);
  }
}

/** Where the first line of the buffer ends. A final CR may be half of CR LF, so it waits for more. */
function lineEnd(buffer: string): { at: number; next: number } | undefined {
  const at = buffer.search(/[\r\n]/);
  if (at < 0) return undefined;
  if (buffer[at] === "\n") return { at, next: at + 1 };
  if (at + 1 === buffer.length) return undefined;
  return { at, next: buffer[at + 1] === "\n" ? at + 2 : at + 1 };
}

function splitField(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
