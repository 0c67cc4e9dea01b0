// Puts each line, an event as Snowplow's SDKs write it in JSON, through the transform: lines.mjs <in >out.
import { createInterface } from "node:readline";
import { loadTransform } from "./load.mjs";

const transform = loadTransform();
for await (const line of createInterface({ input: process.stdin })) process.stdout.write(transform(line).Data + "\n");
