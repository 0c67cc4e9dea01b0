"use client";

import { useId, useState } from "react";
import { definition } from "../sql";
import type { Feature } from "../state";
import { featureName, mapEntries } from "../words";
import { FeatureRow } from "./FeatureRow";
import { SqlText } from "./SqlText";

/** This many entries of a map are listed. */
const ENTRIES_MAX = 8;

/** One feature over all its windows, with the SQL that defines it behind a button. */
export function FeatureBlock({ features, sql, now }: { features: readonly Feature[]; sql: string; now: number }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const first = features[0];
  if (!first) return null;
  const longest = features[features.length - 1] ?? first;
  const entries = mapEntries(longest.value);
  const most = entries[0]?.[1] ?? 1;
  return (
    <div className="feature">
      <div className="feature-head">
        <h4>{featureName(first.column)} <code>{first.column}</code></h4>
        <button type="button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
          SQL<span className="visually-hidden"> of {featureName(first.column)}</span>
        </button>
      </div>
      {features.map((feature) => <FeatureRow key={feature.id} feature={feature} now={now} />)}
      {entries.length > 0 && (
        <ul className="bars">
          {entries.slice(0, ENTRIES_MAX).map(([key, count]) => (
            <li key={key}><span>{key}</span><i style={{ width: `${(count / most) * 100}%` }} aria-hidden="true" /><b>{count}</b></li>
          ))}
        </ul>
      )}
      <div id={id} hidden={!open}>{open && <SqlText sql={definition(sql, first.table, first.column)} />}</div>
    </div>
  );
}
