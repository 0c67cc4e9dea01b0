"use client";

import { useSyncExternalStore } from "react";
import { identityStore } from "@/tracking/tracker";
import type { Connection, Feature } from "../state";
import { useLive } from "../store";
import { subjectName } from "../words";
import { FeatureBlock } from "./FeatureBlock";
import { NewsList } from "./NewsList";
import { useNow } from "./useNow";

const said: Readonly<Record<Connection, string>> = {
  connecting: "Asking Tidewheel…",
  live: "Live from Tidewheel. Every value below is a query's, kept current.",
  away: "Tidewheel is away. The shop goes on without it; this panel comes back by itself.",
  offline: "The shop's own server does not answer. Trying again.",
};

/** The shop's own subjects, in the order of a visit. What somebody has added comes before them. */
const ORDER = ["products", "categories", "cart", "purchases", "sessions", "shoppers"];

/** Features in blocks: those of one query and column together, the shortest window first. */
function blocks(features: Iterable<Feature>): Map<string, Map<string, Feature[]>> {
  const subjects = new Map<string, Map<string, Feature[]>>();
  for (const feature of features) {
    const columns = subjects.get(feature.query) ?? new Map<string, Feature[]>();
    columns.set(feature.column, [...(columns.get(feature.column) ?? []), feature]);
    subjects.set(feature.query, columns);
  }
  return new Map([...subjects].sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b)));
}

/** All that is known, query by query. */
export function PanelBody() {
  const { connection, queries, features, news } = useLive();
  const identity = useSyncExternalStore(identityStore.subscribe, identityStore.get, () => null);
  const now = useNow();
  return (
    <div className="panel-body">
      <p className="panel-status" data-connection={connection} role="status">{said[connection]}</p>
      {identity && (
        <dl className="panel-keys">
          <div><dt>You</dt><dd><code>{identity.userKey}</code></dd></div>
          <div><dt>This visit</dt><dd><code>{identity.sessionId || "–"}</code></dd></div>
        </dl>
      )}
      <NewsList news={news} features={features} now={now} />
      {Array.from(blocks(features.values()), ([query, columns]) => (
        <section key={query} className="subject" aria-label={subjectName(query)}>
          <h3>{subjectName(query)} <code>{query}.sql</code></h3>
          {Array.from(columns, ([column, group]) => (
            <FeatureBlock key={column} features={group} sql={queries.find((candidate) => candidate.name === query)?.sql ?? ""} now={now} />
          ))}
        </section>
      ))}
    </div>
  );
}
