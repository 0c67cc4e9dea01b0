"use client";

import { stored } from "@/cart/storage";

/** Notes that the shopper has closed in this tab. */
export const dismissedStore = stored<readonly string[]>({
  key: "oddharbour.dismissed", initial: [], session: true,
  read: (value) => (Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === "string") : []),
});

/** Closes a note for the rest of the tab's life. */
export function dismiss(note: string): void {
  if (!dismissedStore.get().includes(note)) dismissedStore.set([...dismissedStore.get(), note]);
}
