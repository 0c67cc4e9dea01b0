"use client";

import Link from "next/link";
import { accountStore } from "@/account/account";
import { useStored } from "@/cart/useStored";

/** The way to log in, or who is logged in. */
export function AccountLink() {
  const name = useStored(accountStore);
  return (
    <Link href="/login" className="header-link account-link">
      <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="10" cy="6.5" r="4.5" fill="currentColor" />
        <path d="M1.5 20q0-8 8.5-8t8.5 8z" fill="currentColor" />
      </svg>
      <span className="header-link-text">{name ?? "Log in"}</span>
    </Link>
  );
}
