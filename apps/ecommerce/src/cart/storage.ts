"use client";

/**
 * A value in the browser's storage that components can read and that other tabs see. Storage that is
 * full or forbidden is no error: the value then lives in memory.
 */
export type Stored<T> = {
  get: () => T;
  set: (value: T) => void;
  subscribe: (listener: () => void) => () => void;
  /** What is rendered on the server and until storage has been read. */
  initial: T;
};

type Options<T> = { key: string; initial: T; read: (stored: unknown) => T; session?: boolean };

/** A stored value. `read` turns whatever storage holds into a value. */
export function stored<T>({ key, initial, read, session = false }: Options<T>): Stored<T> {
  let value = initial;
  let loaded = false;
  const listeners = new Set<() => void>();
  const storage = () => (session ? window.sessionStorage : window.localStorage);

  function load() {
    loaded = true;
    try {
      value = read(JSON.parse(storage().getItem(key) ?? "null"));
    } catch {
      value = read(null);
    }
  }

  function notify() {
    for (const listener of listeners) listener();
  }

  function onStorage(event: StorageEvent) {
    if (event.key !== null && event.key !== key) return;
    load();
    notify();
  }

  return {
    initial,
    get: () => {
      if (typeof window === "undefined") return initial;
      if (!loaded) load();
      return value;
    },
    set: (next) => {
      value = next;
      loaded = true;
      try {
        storage().setItem(key, JSON.stringify(next));
      } catch {
        // Full or forbidden: kept in memory.
      }
      notify();
    },
    subscribe: (listener) => {
      if (listeners.size === 0 && !session) window.addEventListener("storage", onStorage);
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) window.removeEventListener("storage", onStorage);
      };
    },
  };
}
