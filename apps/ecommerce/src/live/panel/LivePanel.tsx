"use client";

import { useEffect, useRef } from "react";
import { stored } from "@/cart/storage";
import { useStored } from "@/cart/useStored";
import { useLive } from "../store";
import { PanelBody } from "./PanelBody";

const openStore = stored<boolean>({ key: "oddharbour.panel", initial: false, session: true, read: (value) => value === true });

/** The button in the corner and the panel behind it: what the shop knows about the shopper right now. */
export function LivePanel() {
  const open = useStored(openStore);
  const { connection, features } = useLive();
  const toggle = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLElement>(null);
  const known = Array.from(features.values()).filter((feature) => feature.value !== null).length;

  useEffect(() => {
    if (open) document.documentElement.dataset.panel = "open";
    else delete document.documentElement.dataset.panel;
  }, [open]);

  function close() {
    openStore.set(false);
    // Beside a wide panel the button is hidden until the panel is.
    requestAnimationFrame(() => toggle.current?.focus());
  }

  return (
    <>
      <button ref={toggle} type="button" className="panel-toggle" aria-expanded={open} aria-controls="panel"
        onClick={() => {
          openStore.set(!open);
          if (!open) requestAnimationFrame(() => panel.current?.focus());
        }}>
        <span className="panel-dot" data-connection={connection} aria-hidden="true" />
        What the shop knows about you
        {/* A new element for each number: one that becomes wider would move. */}
        <span key={known} className="panel-known" data-known={known > 0}>{known}<span className="visually-hidden"> features</span></span>
      </button>
      <aside ref={panel} id="panel" className="panel" aria-labelledby="panel-title" tabIndex={-1} hidden={!open}
        onKeyDown={(event) => event.key === "Escape" && close()}>
        <header className="panel-head">
          <h2 id="panel-title">What the shop knows about you right now</h2>
          <button type="button" className="panel-close" onClick={close} aria-label="Close the panel">×</button>
        </header>
        {open && <PanelBody />}
      </aside>
    </>
  );
}
