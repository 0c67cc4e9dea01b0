const FALLBACK_PORT = 9090;

/** An address that names this machine says so of the page's host too: a phone finds the collector where it found the shop. */
export function reachable(address: string, pageHost: string): string {
  const url = new URL(address);
  if (url.hostname === "localhost" || url.hostname === "127.0.0.1") url.hostname = pageHost;
  return url.origin;
}

/** Where events go: what the server was told at run time, else the usual port beside the shop. */
export async function collectorAddress(): Promise<string> {
  const fallback = `${window.location.protocol}//${window.location.hostname}:${FALLBACK_PORT}`;
  try {
    const response = await fetch("/api/config");
    const { collector } = (await response.json()) as { collector: string };
    return reachable(collector, window.location.hostname);
  } catch {
    return fallback;
  }
}
