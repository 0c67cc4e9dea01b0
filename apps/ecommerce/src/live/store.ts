"use client";

import { useSyncExternalStore } from "react";
import { type Identity, identityStore } from "@/tracking/tracker";
import { recall, remember } from "./memory";
import { forgetValues, initialState, type LiveState, reduce } from "./state";
import type { KeyColumn, Message } from "./types";

/** The wait before the shop's own server is asked again, after it has refused. */
const RETRY_MS = 3_000;

let state: LiveState = initialState;
let source: EventSource | null = null;
let connected: Identity | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function set(next: LiveState) {
  if (next === state) return;
  state = next;
  for (const listener of listeners) listener();
}

function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function changedKeys(before: Identity, after: Identity): KeyColumn[] {
  return [...(before.userKey === after.userKey ? [] : ["user_key" as const]), ...(before.sessionId === after.sessionId ? [] : ["session_id" as const])];
}

function open() {
  const identity = identityStore.get();
  if (!identity || document.hidden) return;
  close();
  if (connected) {
    const changed = changedKeys(connected, identity);
    if (changed.length > 0) set(forgetValues(state, changed));
  } else set({ ...state, past: recall(identity) });
  connected = identity;
  source = new EventSource(`/api/live?user=${encodeURIComponent(identity.userKey)}&session=${encodeURIComponent(identity.sessionId)}`);
  source.onmessage = (event: MessageEvent<string>) => set(reduce(state, JSON.parse(event.data) as Message));
  source.onerror = () => {
    set({ ...state, connection: "offline" });
    // The browser tries again by itself, but not after a refusal.
    if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
  };
}

let started = false;

/** Listens as long as the tab is looked at. A hidden tab would hold one of the browser's few connections. */
export function startLive(): void {
  if (started) return;
  started = true;
  identityStore.subscribe(open);
  window.addEventListener("pagehide", () => connected && remember(connected, state));
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** What the shop knows right now. */
export function useLive(): LiveState {
  return useSyncExternalStore(subscribe, () => state, () => initialState);
}

/** One answer drawn from the features; the component renders again only when the answer changes. */
export function useFeature<T extends string | number | boolean | null>(pick: (features: LiveState["features"]) => T): T {
  return useSyncExternalStore(subscribe, () => pick(state.features), () => pick(initialState.features));
}
