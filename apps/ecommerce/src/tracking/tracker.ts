"use client";

import {
  setEcommerceUser, setPageType, SnowplowEcommercePlugin, trackAddToCart, trackCheckoutStep, trackProductListClick, trackProductListView,
  trackProductView, trackPromotionClick, trackPromotionView, trackRefund, trackRemoveFromCart, trackTransaction, trackTransactionError,
} from "@snowplow/browser-plugin-snowplow-ecommerce";
import { type BrowserTracker, enableActivityTracking, newTracker, setUserId, trackPageView } from "@snowplow/browser-tracker";
import { collectorAddress } from "./collector";

/** Who the shopper is to the engine: the key of their features, and the session's. */
export type Identity = { userKey: string; sessionId: string };

const PING_SECONDS = 10;
let tracker: BrowserTracker | null = null;
let starting = false;
let userId: string | null = null;
let identity: Identity | null = null;
const waiting: (() => void)[] = [];
const listeners = new Set<() => void>();

function readIdentity() {
  if (!tracker) return;
  const userKey = userId ?? tracker.getDomainUserId();
  const sessionId = tracker.getDomainUserInfo()[6];
  if (!userKey || (identity?.userKey === userKey && identity.sessionId === sessionId)) return;
  identity = { userKey, sessionId };
  for (const listener of listeners) listener();
}

/** Runs a call now, or as soon as the tracker is there; the order of calls is kept. */
function send(run: () => void) {
  if (!tracker) {
    waiting.push(run);
    return;
  }
  run();
  readIdentity();
}

function applyUser() {
  setUserId(userId);
  if (tracker) setEcommerceUser({ id: userId ?? tracker.getDomainUserId(), is_guest: userId === null });
}

/** Starts the tracker once. Calls made before are sent then. */
export async function startTracking(user: string | null): Promise<void> {
  if (starting) return;
  starting = true;
  userId = user;
  const collector = await collectorAddress();
  const started = newTracker("shop", collector, {
    appId: "oddharbour",
    platform: "web",
    cookieSameSite: "Lax",
    contexts: { webPage: true, session: true, browser: true },
    // A request that outlives its page: the last click before leaving is not lost.
    keepalive: true,
    plugins: [SnowplowEcommercePlugin()],
  });
  if (!started) return;
  tracker = started;
  enableActivityTracking({ minimumVisitLength: PING_SECONDS, heartbeatDelay: PING_SECONDS });
  applyUser();
  for (const run of waiting.splice(0)) run();
  readIdentity();
}

/** The shopper's keys, or null until the tracker has them. */
export const identityStore = {
  get: () => identity,
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  },
};

let lastPage = "";

/** Every call that the shop makes; payloads come from payloads.ts. */
export const shop = {
  /** A page was opened. The same address twice in a row is one view: effects may run twice. */
  pageView: (type: string, title: string) => {
    const page = window.location.href;
    if (page === lastPage) return false;
    lastPage = page;
    send(() => {
      setPageType({ type, language: "en", locale: "en" });
      trackPageView({ title });
    });
    return true;
  },
  identify: (name: string | null) => {
    userId = name;
    send(applyUser);
  },
  productView: (payload: Parameters<typeof trackProductView>[0]) => send(() => trackProductView(payload)),
  listView: (payload: Parameters<typeof trackProductListView>[0]) => send(() => trackProductListView(payload)),
  listClick: (payload: Parameters<typeof trackProductListClick>[0]) => send(() => trackProductListClick(payload)),
  promotionView: (payload: Parameters<typeof trackPromotionView>[0]) => send(() => trackPromotionView(payload)),
  promotionClick: (payload: Parameters<typeof trackPromotionClick>[0]) => send(() => trackPromotionClick(payload)),
  addToCart: (payload: Parameters<typeof trackAddToCart>[0]) => send(() => trackAddToCart(payload)),
  removeFromCart: (payload: Parameters<typeof trackRemoveFromCart>[0]) => send(() => trackRemoveFromCart(payload)),
  checkoutStep: (payload: Parameters<typeof trackCheckoutStep>[0]) => send(() => trackCheckoutStep(payload)),
  transaction: (payload: Parameters<typeof trackTransaction>[0]) => send(() => trackTransaction(payload)),
  transactionError: (payload: Parameters<typeof trackTransactionError>[0]) => send(() => trackTransactionError(payload)),
  refund: (payload: Parameters<typeof trackRefund>[0]) => send(() => trackRefund(payload)),
};
