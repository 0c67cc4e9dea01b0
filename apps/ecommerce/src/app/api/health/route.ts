export const dynamic = "force-dynamic";

/** The shop answers. It does so whether or not the collector and the engine are there. */
export function GET(): Response {
  return Response.json({ status: "ok" }, { headers: { "cache-control": "no-store" } });
}
