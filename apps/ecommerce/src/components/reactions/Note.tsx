"use client";

import type { ReactNode } from "react";
import { dismiss } from "./dismissed";

/** A small card that the shop lays down in a corner: it covers a little, moves nothing and can be closed. */
export function Note({ id, title, because, children }: { id: string; title: string; because: string; children: ReactNode }) {
  return (
    <section className="note" role="status" data-testid={id.split(":")[0]}>
      <button type="button" className="note-close" onClick={() => dismiss(id)} aria-label={`Close: ${title}`}>×</button>
      <h2>{title}</h2>
      {children}
      <p className="note-because">{because}</p>
    </section>
  );
}
