import type { Point } from "./state";

/** The line's own units. */
export const LINE_WIDTH = 84;
export const LINE_HEIGHT = 24;
const PAD = 3;
/** The line shows at least this much time, so that two changes in a second are not the whole width. */
const SPAN_MS_MIN = 30_000;

/** The steps of a history up to now, as an SVG path, with the place of its newest point. */
export function historyPath(points: readonly Point[], now: number): { path: string; x: number; y: number } | null {
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last) return null;
  const end = Math.max(now, last.at);
  const span = Math.max(SPAN_MS_MIN, end - first.at);
  const levels = points.map((point) => point.level);
  const low = Math.min(...levels);
  const high = Math.max(...levels);
  const x = (at: number) => round(PAD + (1 - (end - at) / span) * (LINE_WIDTH - 2 * PAD));
  // A value that has never moved lies in the middle.
  const y = (level: number) => round(high === low ? LINE_HEIGHT / 2 : LINE_HEIGHT - PAD - ((level - low) / (high - low)) * (LINE_HEIGHT - 2 * PAD));
  const steps = points.slice(1).map((point) => `H${x(point.at)}V${y(point.level)}`);
  return { path: `M${x(first.at)} ${y(first.level)}${steps.join("")}H${x(end)}`, x: x(last.at), y: y(last.level) };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
