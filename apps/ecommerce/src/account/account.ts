"use client";

import { stored } from "@/cart/storage";
import { shop } from "@/tracking/tracker";

/** Why a name cannot be used, or undefined if it can. It becomes the user id, so it must name nobody. */
export function nameError(name: string): string | undefined {
  if (name.includes("@")) return "Not an e-mail address, please: this name travels with every event.";
  if (!/^[a-z0-9][a-z0-9-]{1,31}$/.test(name)) return "Use 2 to 32 small letters, digits or hyphens, such as grey-heron.";
  return undefined;
}

/** Who is logged in, if anybody. */
export const accountStore = stored<string | null>({
  key: "oddharbour.shopper",
  initial: null,
  read: (value) => (typeof value === "string" && nameError(value) === undefined ? value : null),
});

/** Logs in: from now on events carry the name as user id. */
export function logIn(name: string): void {
  accountStore.set(name);
  shop.identify(name);
}

/** Logs out: events carry the browser's own id alone again. */
export function logOut(): void {
  accountStore.set(null);
  shop.identify(null);
}
