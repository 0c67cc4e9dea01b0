import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** An entity or a self-describing event. */
export type Json = { schema: string; data: Record<string, unknown> };

/** An event as the tracker sent it: protocol keys to strings, with its JSON parts parsed. */
export type Sent = { raw: Record<string, string>; action?: Json; entities: readonly Json[] };

/** A collector that keeps what it gets and answers as the real one does. */
export class TestCollector {
  readonly events: Sent[] = [];
  /** Requests that are no POST of events, preflights apart. */
  readonly odd: string[] = [];
  onEvent: (event: Sent) => void = () => {};
  #server: Server | undefined;
  url = "";

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      response.setHeader("access-control-allow-origin", request.headers.origin ?? "*");
      response.setHeader("access-control-allow-credentials", "true");
      response.setHeader("access-control-allow-headers", "Content-Type, SP-Anonymous");
      if (request.method === "OPTIONS") {
        response.end();
        return;
      }
      if (request.method !== "POST" || request.url !== "/com.snowplowanalytics.snowplow/tp2") {
        this.odd.push(`${request.method} ${request.url}`);
        response.writeHead(404).end();
        return;
      }
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        this.#take(Buffer.concat(chunks).toString());
        response.end("ok");
      });
    });
    await new Promise<void>((resolve) => this.#server?.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #take(body: string) {
    const { schema, data } = JSON.parse(body) as { schema: string; data: Record<string, string>[] };
    if (schema !== "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4") this.odd.push(schema);
    for (const raw of data) {
      const event: Sent = {
        raw,
        ...(raw.ue_pr ? { action: (JSON.parse(raw.ue_pr) as { data: Json }).data } : {}),
        entities: raw.co ? (JSON.parse(raw.co) as { data: Json[] }).data : [],
      };
      this.events.push(event);
      this.onEvent(event);
    }
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  /** E-commerce events of a type, in the order they came. */
  ofType(type: string): readonly Sent[] {
    return this.events.filter((event) => event.action?.data.type === type);
  }
}

/** The data of an event's e-commerce or other entities by name. */
export function entities(event: Sent, name: string): readonly Record<string, unknown>[] {
  return event.entities.filter((entity) => entity.schema.split("/")[1] === name).map((entity) => entity.data);
}
