"use client";

import { useEffect } from "react";
import { accountStore } from "@/account/account";
import { startLive } from "@/live/store";
import { startTracking } from "./tracker";

/** Starts the tracker and the stream of features, once for the whole visit. */
export function TrackingStart() {
  useEffect(() => {
    void startTracking(accountStore.get());
    startLive();
  }, []);
  return null;
}
