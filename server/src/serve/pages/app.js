// Shows /openapi.json and lets each path be tried. Nothing is loaded from another host.
"use strict";

const main = document.getElementById("main");
const token = document.getElementById("token");

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value; else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function headers(more = {}) {
  const all = { ...more };
  if (token.value) all.Authorization = "Bearer " + token.value;
  return all;
}

function exampleOf(parameter) {
  const of = parameter.example ?? parameter.schema?.example;
  return of === undefined ? "" : String(of);
}

// Text in which `this` is code.
function prose(name, text) {
  const parts = text.split("`").map((part, at) => (at % 2 ? element("code", {}, part) : part));
  return element(name, {}, ...parts);
}

// The body's fields: for SQL one big field, and the kind that is sent.
function bodyForm(operation, document_) {
  const content = operation.requestBody?.content;
  if (!content) return null;
  const schema = document_.components.schemas.Submitted;
  const text = element("textarea", { spellcheck: "false", "aria-label": "SQL" });
  text.value = content["text/plain"]?.example ?? schema?.properties?.sql?.example ?? "";
  return { node: element("label", {}, "SQL", text), value: () => text.value };
}

function shell(method, path, body, given) {
  const quote = (s) => "'" + s.replaceAll("'", "'\\''") + "'";
  let line = "curl -s";
  if (method !== "get") line += " -X " + method.toUpperCase();
  if (token.value) line += ' -H "Authorization: Bearer $TIDEWHEEL_TOKEN"';
  for (const [name, value] of Object.entries(given)) line += " -H " + quote(name + ": " + value);
  if (body !== null) line += " -H 'Content-Type: text/plain' --data-binary " + quote(body);
  return line + " " + quote(location.origin + path);
}

async function show(response, out, status) {
  status.textContent = response.status + " " + response.statusText;
  const kind = response.headers.get("Content-Type") ?? "";
  if (!kind.startsWith("text/event-stream")) {
    const text = await response.text();
    out.textContent = text;
    if (kind.includes("json")) {
      try { out.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { /* as it came */ }
    }
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    out.textContent = (out.textContent + value).slice(-20000);
    out.scrollTop = out.scrollHeight;
  }
}

function operationNode(path, method, operation, document_) {
  const id = operation.operationId;
  const form = element("div");
  if (operation.description) form.append(prose("p", operation.description));
  const fields = [];
  for (const parameter of operation.parameters ?? []) {
    const input = element("input", { value: exampleOf(parameter) });
    if (parameter.required) input.required = true;
    form.append(element("label", {}, parameter.name + " ",
      element("span", {}, parameter.in + (parameter.required ? "" : ", may be left out") + ". " + (parameter.description ?? "")), input));
    fields.push({ parameter, input });
  }
  const body = bodyForm(operation, document_);
  if (body) form.append(body.node);
  const go = element("button", { type: "button" }, "Send");
  const status = element("span", { role: "status" });
  const command = element("pre", { "aria-label": "The same with curl" });
  const out = element("pre", { "aria-label": "Answer" });
  command.hidden = out.hidden = true;
  let running = null;
  go.addEventListener("click", async () => {
    if (running) { running.abort(); return; }
    let address = path;
    const query = new URLSearchParams();
    const given = {};
    for (const { parameter, input } of fields) {
      if (input.value === "" && !parameter.required) continue;
      if (parameter.in === "path") address = address.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
      else if (parameter.in === "header") given[parameter.name] = input.value;
      else query.set(parameter.name, input.value);
    }
    if ([...query].length) address += "?" + query;
    const sent = body ? body.value() : null;
    command.hidden = out.hidden = false;
    command.textContent = shell(method, address, sent, given);
    out.textContent = "";
    status.textContent = " …";
    running = new AbortController();
    go.textContent = "Stop"; go.className = "stop";
    try {
      const options = { method: method.toUpperCase(), headers: headers(given), signal: running.signal };
      if (sent !== null) { options.body = sent; options.headers["Content-Type"] = "text/plain"; }
      await show(await fetch(address, options), out, status);
    } catch (error) {
      status.textContent = error.name === "AbortError" ? " stopped" : " " + error;
    }
    running = null;
    go.textContent = "Send"; go.className = "";
  });
  form.append(element("p", {}, go, " ", status), command, out);
  const answers = element("table");
  for (const [code, answer] of Object.entries(operation.responses ?? {})) {
    answers.append(element("tr", {}, element("td", {}, code), prose("td", answer.description ?? "")));
  }
  form.append(element("h4", {}, "Answers"), answers);
  const summary = element("summary", {},
    element("span", { class: "method " + method }, method.toUpperCase()),
    element("code", {}, path), element("span", {}, operation.summary ?? ""));
  return element("details", { id }, summary, form);
}

async function health() {
  const node = document.getElementById("health");
  try {
    const answer = await (await fetch("/healthz")).json();
    const parts = [answer.status];
    if (answer.broken.length) parts.push("broken: " + answer.broken.join(", "));
    if (answer.failed.length) parts.push("failed: " + answer.failed.join(", "));
    for (const away of answer.away) parts.push(away.place + ": " + away.reason);
    node.textContent = parts.join("; ");
  } catch (error) {
    node.textContent = "the server does not answer: " + error;
  }
}

async function start() {
  const document_ = await (await fetch("/openapi.json")).json();
  document.getElementById("version").textContent = document_.info.version;
  main.replaceChildren();
  const list = element("ul");
  document.getElementById("nav").append(list);
  for (const tag of document_.tags ?? []) {
    main.append(element("h2", { id: "tag-" + tag.name }, tag.name), element("p", {}, tag.description ?? ""));
    list.append(element("li", {}, element("a", { href: "#tag-" + tag.name }, tag.name)));
    for (const [path, item] of Object.entries(document_.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation.tags?.includes(tag.name)) main.append(operationNode(path, method, operation, document_));
      }
    }
  }
  list.append(element("li", {}, element("a", { href: "#problems" }, "problems")));
  if (location.hash) {
    const node = document.getElementById(location.hash.slice(1));
    if (node) { if (node.open !== undefined) node.open = true; node.scrollIntoView(); }
  }
}

health();
setInterval(health, 5000);
start().catch((error) => { main.textContent = "The description cannot be read: " + error; });
