"use client";

import type { Identity } from "@/tracking/tracker";
import type { LiveState, Past } from "./state";

const KEY = "oddharbour.history";

/** Keeps the features' histories for the tab's next page. */
export function remember(identity: Identity, state: LiveState): void {
  const past: Past[] = Array.from(state.features.values())
    .filter((feature) => feature.history.length > 0)
    .map(({ id, value, changedAt, history, texts }) => ({ id, value, changedAt, history, texts }));
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ identity, past }));
  } catch {
    // Full or forbidden: the lines start anew.
  }
}

/** The histories that this tab's last page kept for the same keys. */
export function recall(identity: Identity): ReadonlyMap<string, Past> {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as { identity: Identity; past: Past[] } | null;
    if (kept?.identity.userKey !== identity.userKey || kept.identity.sessionId !== identity.sessionId) return new Map();
    return new Map(kept.past.map((past) => [past.id, past]));
  } catch {
    return new Map();
  }
}
