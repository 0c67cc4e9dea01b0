import { KEY_COLUMNS, type TableInfo } from "./types";

/** A piece of SQL text: what it is, and the text itself. */
export type Token = { kind: "comment" | "string" | "word" | "other"; text: string };

const TOKEN = /(--[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^']|'')*'|`[^`]*`)|([A-Za-z_][\w]*)|([^A-Za-z_'`/-]+|[\s\S])/g;

/** SQL text in pieces that add up to it again. */
export function tokenize(sql: string): readonly Token[] {
  return Array.from(sql.matchAll(TOKEN), ([text, comment, string, word]) => ({
    kind: comment !== undefined ? "comment" : string !== undefined ? "string" : word !== undefined ? "word" : "other",
    text,
  }));
}

/** The statements of a file, each with the comment above it, without the semicolon. */
export function statements(sql: string): readonly string[] {
  const found: string[] = [];
  let current = "";
  for (const token of tokenize(sql)) {
    const parts = token.kind === "other" ? token.text.split(";") : [token.text];
    parts.forEach((part, index) => {
      if (index > 0) {
        found.push(current);
        current = "";
      }
      current += part;
    });
  }
  found.push(current);
  return found.map((statement) => statement.trim()).filter(Boolean);
}

function withoutComments(sql: string): string {
  return tokenize(sql).filter((token) => token.kind !== "comment").map((token) => token.text).join("");
}

function names(list: string): string[] {
  return list.split(",").map((name) => name.trim().replace(/`/g, "")).filter(Boolean);
}

/** Splits at commas that are not inside brackets. */
function topLevel(list: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const char of list) {
    if (char === "(" || char === "<") depth += 1;
    if (char === ")" || char === ">") depth -= 1;
    if (char === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += char;
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}

const CREATE = /^CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?`?(\w+)`?\s*\(([\s\S]*)\)\s*WITH\s*\(/i;
const PRIMARY = /^PRIMARY\s+KEY\s*\(([^)]*)\)/i;

/** The tables that a file creates with a shopper or a session as their whole key. */
export function featureTables(sql: string): readonly TableInfo[] {
  return statements(sql).flatMap((statement) => {
    const match = CREATE.exec(withoutComments(statement).trim());
    if (!match?.[1] || !match[2]) return [];
    const parts = topLevel(match[2]);
    const keys = parts.flatMap((part) => names(PRIMARY.exec(part)?.[1] ?? ""));
    const keyColumn = KEY_COLUMNS.find((column) => keys.length === 1 && keys[0] === column);
    if (!keyColumn) return [];
    const columns = parts
      .filter((part) => !/^(PRIMARY\s+KEY|WATERMARK\s+FOR)\b/i.test(part))
      .flatMap((part) => /^`?(\w+)`?/.exec(part)?.[1] ?? [])
      .filter((column) => column !== keyColumn);
    return [{ table: match[1], keyColumn, columns }];
  });
}

const INSERT = /^INSERT\s+INTO\s+`?(\w+)`?\s*(?:\(([^)]*)\))?/i;

/** The statement of a file that writes this column of this table; the whole file if none is found. */
export function definition(sql: string, table: string, column: string): string {
  const found = statements(sql).find((statement) => {
    const match = INSERT.exec(withoutComments(statement).trim());
    if (match?.[1] !== table) return false;
    return match[2] === undefined || names(match[2]).includes(column);
  });
  return found ? `${found};` : sql;
}
