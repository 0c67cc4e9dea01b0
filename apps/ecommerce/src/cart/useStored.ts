"use client";

import { useSyncExternalStore } from "react";
import type { Stored } from "./storage";

/** The current value; the initial one until the page is hydrated. */
export function useStored<T>(store: Stored<T>): T {
  return useSyncExternalStore(store.subscribe, store.get, () => store.initial);
}

const never = () => () => {};

/** Whether the browser has taken over: before, stored values are not known yet. */
export function useHydrated(): boolean {
  return useSyncExternalStore(never, () => true, () => false);
}
