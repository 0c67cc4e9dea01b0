import { hub } from "@/live/server/hub";
import { formatEvent } from "@/live/server/sse";
import type { Keys, Message } from "@/live/types";

export const dynamic = "force-dynamic";

/** Keeps proxies and the browser from taking silence for an end. */
const HEARTBEAT_MS = 15_000;
const KEY = /^[\w.@:-]{1,255}$/;

/** The shopper's features as server-sent events: `?user=` and `?session=` name the keys. */
export function GET(request: Request): Response {
  const query = new URL(request.url).searchParams;
  const keys: Keys = { user_key: query.get("user") ?? "", session_id: query.get("session") ?? "" };
  if (!KEY.test(keys.user_key) || (keys.session_id !== "" && !KEY.test(keys.session_id))) {
    return new Response("Name the shopper: ?user=KEY, and the session if there is one: &session=ID.\n", { status: 400 });
  }
  const encoder = new TextEncoder();
  let stop = () => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const write = (text: string) => controller.enqueue(encoder.encode(text));
      const leave = hub().join({ keys, send: (message: Message) => write(formatEvent(message)) });
      const heartbeat = setInterval(() => write(": still here\n\n"), HEARTBEAT_MS);
      let stopped = false;
      stop = () => {
        if (stopped) return;
        stopped = true;
        clearInterval(heartbeat);
        leave();
      };
      write(": welcome\n\n");
      request.signal.addEventListener("abort", () => {
        if (stopped) return;
        stop();
        controller.close();
      });
    },
    cancel: () => stop(),
  });
  // no-transform: a compressing layer would hold events back.
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" } });
}
