// What runs, how fast and how fresh, and a key's features as they change. One request for all
// counters (/metrics) each two seconds, and one stream of changes at most: a page that is left open
// costs the server little. Nothing is loaded from another host.
"use strict";

const REFRESH_MS = 2000;
const KEY_MS = 1000;
const RECENT_MAX = 8;
const FRESH_MS = 3000;
// Freshness is told of the last minute: counters are compared with those of so many refreshes ago.
const HISTORY_MAX = 30;

const at = (id) => document.getElementById(id);
const token = at("token");

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

async function ask(path, options = {}) {
  const headers = token.value ? { Authorization: "Bearer " + token.value } : {};
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401) throw new Error("a token is needed: enter it above");
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail ?? answer.status + " " + answer.statusText);
  }
  return answer;
}

const json = async (path) => (await ask(path)).json();

// ---- counters

/** Samples of /metrics: name to a list of labels and value. */
function readMetrics(text) {
  const samples = new Map();
  const line = /^(tidewheel_[a-z_]+)(?:\{(.*)\})? (\S+)/;
  for (const one of text.split("\n")) {
    const found = line.exec(one);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    }
    if (!samples.has(found[1])) samples.set(found[1], []);
    samples.get(found[1]).push({ labels, value: Number(found[3]) });
  }
  return samples;
}

/** The sum of a metric's samples with these labels. */
function total(metrics, name, labels) {
  const wanted = Object.entries(labels);
  let sum = 0;
  for (const sample of metrics.get("tidewheel_" + name) ?? []) {
    if (wanted.every(([key, value]) => sample.labels[key] === value)) sum += sample.value;
  }
  return sum;
}

/** The bound under which a share of the freshness of a query lay, in seconds; null without any. */
function quantile(now, before, query, share) {
  const counts = new Map();
  for (const [metrics, sign] of [[now, 1], [before, -1]]) {
    for (const { labels, value } of metrics?.get("tidewheel_query_freshness_seconds_bucket") ?? []) {
      if (labels.query !== query) continue;
      const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
    }
  }
  const all = counts.get(Infinity) ?? 0;
  if (all <= 0) return null;
  return [...counts].sort((a, b) => a[0] - b[0]).find(([, count]) => count >= share * all)[0];
}

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });
const rate = (value) => (value === null ? "…" : short.format(value));
function time(seconds) {
  if (seconds === null) return "–";
  if (seconds === Infinity) return "> 60 s";
  return seconds < 1 ? "≤ " + Math.round(seconds * 1000) + " ms" : "≤ " + short.format(seconds) + " s";
}
function lag(seconds) {
  if (seconds < 120) return short.format(Math.max(0, seconds)) + " s";
  return seconds < 7200 ? short.format(seconds / 60) + " min" : short.format(seconds / 3600) + " h";
}

// ---- what is read, and the queries

const history = [];
let queries = [];

const CLASS = { running: "good", reading: "good", tables: "wait", paused: "warn", catching_up: "warn", starting: "wait", "reads history": "warn" };
const state = (word) => element("span", { class: CLASS[word] ?? "bad" }, word.replace("_", " "));
const cells = (...texts) => texts.map((text) => element("td", { class: "number" }, text));

function perSecond(name, labels) {
  if (history.length < 2) return null;
  const [before, now] = history.slice(-2);
  const gone = total(now.metrics, name, labels) - total(before.metrics, name, labels);
  return Math.max(0, gone) / ((now.at - before.at) / 1000);
}

function showSources(metrics) {
  const rows = (metrics.get("tidewheel_source_rows_total") ?? []).map(({ labels: { table }, value }) => {
    const of = (name) => total(metrics, "source_" + name, { table });
    const word = of("up") === 0 ? "away" : of("behind") ? "reads history" : "reading";
    const out = of("bad_rows_total") + of("future_rows_total");
    return element("tr", {}, element("th", { scope: "row" }, table), element("td", {}, state(word)),
      ...cells(rate(perSecond("source_rows_total", { table })), whole.format(value), whole.format(out),
        whole.format(of("repeated_rows_total")), lag(of("watermark_lag_seconds"))));
  });
  at("sources").replaceChildren(...rows);
}

function showQueries(metrics) {
  const before = history[0] === history.at(-1) ? null : history[0].metrics;
  const rows = queries.map(({ name, state: word, statements }) => {
    const of = (metric) => total(metrics, "query_" + metric, { query: name });
    const runs = statements.length > 0;
    const fresh = [0.5, 0.99].map((share) => time(quantile(metrics, before, name, share)));
    const tables = [...new Set(statements.map((statement) => statement.writes))];
    return element("tr", {},
      element("th", { scope: "row" }, element("a", { href: "/api/v1/queries/" + encodeURIComponent(name) }, name)),
      element("td", {}, state(word)), element("td", { class: "tables" }, tables.join(", ") || "tables only"),
      ...(runs ? cells(rate(perSecond("query_changes_total", { query: name })), rate(perSecond("query_writes_total", { query: name })),
        whole.format(of("keys")), fresh[0] === "–" ? "–" : fresh.join(" / "),
        whole.format(of("late_rows_total")) + ", " + whole.format(of("failed_rows_total"))) : cells("", "", "", "", "")));
  });
  at("query-rows").replaceChildren(...rows);
  const errors = queries.flatMap(({ name, errors: own, message }) => [
    ...(message ? [name + ": " + message] : []),
    ...(own ?? []).filter(({ severity }) => severity !== "warning").map((error) => (error.file ?? name) + ":" + error.line + ":" + error.column + " " + error.message + (error.excerpt ? "\n" + error.excerpt : "") + (error.advice ? "\n" + error.advice : "")),
  ]);
  at("errors").replaceChildren(...errors.map((text) => element("li", {}, text)));
}

/** One line about checkpoints, where they are taken. */
function showCheckpoint(checkpoint, metrics) {
  const node = at("checkpoint");
  node.hidden = !checkpoint;
  if (!checkpoint) return;
  const of = (name) => total(metrics, "checkpoint_" + name, {});
  const parts = [
    checkpoint.last ? "Checkpoint " + checkpoint.last + ", " + lag(checkpoint.age_seconds) + " ago" : "No checkpoint yet",
    short.format(of("state_bytes") / 1e6) + " MB of state, written in " + lag(of("duration_seconds")),
    ...(checkpoint.error ? ["the last try failed: " + checkpoint.error] : []),
  ];
  node.textContent = parts.join("; ");
  node.className = checkpoint.error ? "bad" : "";
}

function showHealth(health, ready) {
  const parts = [...health.away.map(({ place, reason }) => place + " is away: " + reason), ...health.failed.map((name) => name + " has stopped"),
    ...health.broken.map((name) => name + ".sql has errors"), ...(health.checkpoints?.error ? ["checkpoints fail"] : [])];
  if (!parts.length && !ready.ready) parts.push("reads history: " + ready.catching_up.join(", "));
  const node = at("health");
  const text = parts.join("; ") || "all is well";
  if (node.textContent !== text) node.textContent = text;
  node.className = parts.length ? (health.status === "ok" ? "warn" : "bad") : "good";
  at("version").textContent = health.version;
}

async function refresh() {
  try {
    const health = await json("/healthz");
    showHealth(health, await fetch("/readyz").then((answer) => answer.json()));
    const [list, text] = await Promise.all([json("/api/v1/queries"), ask("/metrics").then((answer) => answer.text())]);
    queries = list.queries;
    const metrics = readMetrics(text);
    history.push({ at: performance.now(), metrics });
    if (history.length > HISTORY_MAX) history.shift();
    showSources(metrics);
    showQueries(metrics);
    showCheckpoint(health.checkpoints, metrics);
    if (!at("key-column").options.length) await offerColumns();
    listen();
  } catch (error) {
    at("health").className = "bad";
    at("health").textContent = String(error.message ?? error);
  }
}

// ---- a key's features

let keyColumns = new Map();
const recent = new Map();
let stream = null;
let followed = null;
const seen = new Map();

/** The columns that are a table's whole key, with the queries that write such tables. */
async function offerColumns() {
  const { tables } = await json("/api/v1/tables");
  keyColumns = new Map();
  for (const { role, feature_key: key, written_by: by } of tables) {
    if (role !== "sink" || key.length !== 1) continue;
    if (!keyColumns.has(key[0])) keyColumns.set(key[0], []);
    keyColumns.get(key[0]).push(...by);
  }
  const chosen = at("key-column");
  const names = [...keyColumns.keys()].sort((a, b) => keyColumns.get(b).length - keyColumns.get(a).length);
  chosen.replaceChildren(...names.map((name) => element("option", {}, name)));
}

/** How often the busiest statement of a query has changed something. */
function changes(query) {
  const samples = history.at(-1).metrics.get("tidewheel_query_changes_total") ?? [];
  return Math.max(0, ...samples.filter(({ labels }) => labels.query === query).map(({ value }) => value));
}

/** Listens to one query that writes the chosen column, for keys to choose from: to the busiest, since others pass over most of what happens. */
async function listen() {
  const column = at("key-column").value;
  if (stream || !column) return;
  const own = stream = new AbortController();
  try {
    const wanted = keyColumns.get(column);
    const [name] = queries.filter((query) => wanted.includes(query.name) && query.state === "running").map((query) => query.name)
      .sort((a, b) => changes(b) - changes(a));
    // Before the first change it is not known which that is.
    if (!name || !changes(name)) return;
    const answer = await ask("/api/v1/queries/" + encodeURIComponent(name) + "/changes", { signal: own.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const key = JSON.parse(line.slice(5)).row?.[column];
        if (key !== undefined && key !== null) { recent.delete(String(key)); recent.set(String(key), true); }
      }
      while (recent.size > RECENT_MAX) recent.delete(recent.keys().next().value);
    }
  } catch { /* The next refresh opens it again, and says what is wrong. */ } finally {
    if (stream === own) stream = null;
  }
}

/** Buttons do not move while one of them has the focus or the pointer. */
function showRecent() {
  const box = at("recent");
  if (box.matches(":hover") || box.contains(document.activeElement)) return;
  const keys = [...recent.keys()].reverse();
  if ([...box.children].map((node) => node.textContent).join("\n") === keys.join("\n")) return;
  box.replaceChildren(...keys.map((key) => {
    const button = element("button", { type: "button", title: key }, key);
    button.addEventListener("click", () => { at("key").value = key; follow(); });
    return button;
  }));
}

function follow() {
  followed = at("key").value.trim();
  seen.clear();
  at("key-note").textContent = "";
  showKey();
}

function ago(moment) {
  const seconds = Math.round((Date.now() - moment) / 1000);
  return seconds < 2 ? "just now" : seconds < 120 ? seconds + " s ago" : Math.round(seconds / 60) + " min ago";
}

async function showKey() {
  showRecent();
  if (!followed) return;
  const key = followed;
  try {
    const query = new URLSearchParams({ key, column: at("key-column").value });
    const { features } = await json("/api/v1/features?" + query);
    if (key !== followed) return;
    const first = seen.size === 0;
    const rows = [];
    for (const { table, values, members, found } of features) {
      if (!found) continue;
      const shown = members ? [["members", members]] : Object.entries(values ?? {});
      for (const [name, value] of shown) {
        const text = typeof value === "string" ? value : JSON.stringify(value);
        const id = table + "." + name;
        const old = seen.get(id);
        if (old?.text !== text) seen.set(id, { text, at: first ? null : Date.now() });
        const changed = seen.get(id).at;
        rows.push(element("tr", changed && Date.now() - changed < FRESH_MS ? { class: "fresh" } : {},
          element("td", {}, table), element("td", {}, name), element("td", {}, text), element("td", {}, changed ? ago(changed) : "–")));
      }
    }
    at("feature-rows").replaceChildren(...rows);
    at("features").hidden = rows.length === 0;
    at("key-note").textContent = rows.length ? "" : "No table holds this key now.";
  } catch (error) {
    at("key-note").textContent = String(error.message ?? error);
  }
}

at("key-form").addEventListener("submit", (event) => { event.preventDefault(); follow(); });
at("key-column").addEventListener("change", () => { stream?.abort(); stream = null; recent.clear(); followed = null; at("features").hidden = true; listen(); });
token.addEventListener("change", refresh);
at("token-form").addEventListener("submit", (event) => { event.preventDefault(); refresh(); });

// A neighbour on the same machine is called as this page was.
for (const link of document.querySelectorAll("nav a[href^='http://localhost']")) link.hostname = location.hostname;

async function forever(work, pause) {
  for (;;) {
    if (!document.hidden) await work();
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
forever(refresh, REFRESH_MS);
forever(showKey, KEY_MS);
