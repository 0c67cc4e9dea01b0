export const dynamic = "force-dynamic";

/** What the browser must know of its surroundings, read from the environment at run time. */
export function GET(): Response {
  const collector = process.env.COLLECTOR_URL ?? "http://localhost:9090";
  return Response.json({ collector }, { headers: { "cache-control": "no-store" } });
}
