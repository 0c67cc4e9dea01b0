import { historyPath, LINE_HEIGHT, LINE_WIDTH } from "../history";
import type { Point } from "../state";

/** A value's past as a small stepped line; its newest change is a dot. */
export function HistoryLine({ points, now }: { points: readonly Point[]; now: number }) {
  const line = historyPath(points, now);
  return (
    <svg className="line" width={LINE_WIDTH} height={LINE_HEIGHT} viewBox={`0 0 ${LINE_WIDTH} ${LINE_HEIGHT}`} aria-hidden="true">
      {line && (
        <>
          <path d={line.path} fill="none" stroke="currentColor" strokeWidth="1.6" />
          <circle cx={line.x} cy={line.y} r="2.4" fill="currentColor" />
        </>
      )}
    </svg>
  );
}
