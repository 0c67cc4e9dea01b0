"use client";

import { type RefObject, useEffect, useRef } from "react";

/** This much of an element must be in sight for it to count as seen. */
const SHARE_SEEN = 0.25;

/** Calls `onSeen` once when the element first comes into sight; again only for another `of`. */
export function useSeen(ref: RefObject<Element | null>, of: string, onSeen: () => void): void {
  const told = useRef("");
  const callback = useRef(onSeen);
  useEffect(() => {
    callback.current = onSeen;
  });
  useEffect(() => {
    const element = ref.current;
    if (!element || told.current === of) return;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting) || told.current === of) return;
      told.current = of;
      observer.disconnect();
      callback.current();
    }, { threshold: SHARE_SEEN });
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref, of]);
}
