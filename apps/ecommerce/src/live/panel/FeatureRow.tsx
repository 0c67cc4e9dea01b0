import type { Feature } from "../state";
import { ago, featureSentence, valueText, windowName } from "../words";
import { HistoryLine } from "./HistoryLine";

/** A change counts as fresh for this long. */
const FRESH_MS = 4_000;

/** One value: its window, the value, its line, and when it changed. */
export function FeatureRow({ feature, now }: { feature: Feature; now: number }) {
  const fresh = feature.changedAt !== null && now - feature.changedAt < FRESH_MS;
  const text = valueText(feature.column, feature.value);
  // The key makes the element anew at each change, which starts its highlight again.
  return (
    <div key={feature.changedAt ?? 0} className="feature-row" data-fresh={fresh} data-feature={feature.id}>
      <span className="visually-hidden">{featureSentence(feature)}</span>
      <span className="feature-window" aria-hidden="true">{windowName(feature.window) || (feature.keyColumn === "session_id" ? "visit" : "ever")}</span>
      <span className="feature-value" aria-hidden="true" title={text}>{text}</span>
      <HistoryLine points={feature.history} now={now} />
      <time className="feature-ago">{feature.changedAt === null ? "" : ago(now - feature.changedAt)}</time>
    </div>
  );
}
