import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { definition, featureTables, statements, tokenize } from "@/live/sql";

const FOLDER = join(import.meta.dirname, "../../../../queries");
const files = new Map(readdirSync(FOLDER).filter((file) => file.endsWith(".sql")).map((file) => [file, readFileSync(join(FOLDER, file), "utf8")]));

function file(name: string): string {
  return files.get(name) ?? "";
}

test("pieces add up to the text, whatever the text", () => {
  for (const sql of [...files.values(), "", "'open", "`open", "/* open", "a--b\nc", "x - y / z", "';' -- ;\n/* ; */ `;`"]) {
    assert.equal(tokenize(sql).map((token) => token.text).join(""), sql);
  }
});

test("a semicolon in a text, a name or a comment ends nothing", () => {
  assert.deepEqual(statements("SELECT ';' AS `a;b` -- one; still one\n/* ; */; SELECT 2;;\n"), ["SELECT ';' AS `a;b` -- one; still one\n/* ; */", "SELECT 2"]);
});

test("the shipped catalogue's tables are found with their keys and columns", () => {
  const found = [...files.values()].flatMap(featureTables);
  assert.deepEqual(found.find((table) => table.table === "product_features_5m"), {
    table: "product_features_5m", keyColumn: "user_key", columns: ["product_view_count", "return_view_count", "price_range_viewed", "avg_viewed_price"],
  });
  assert.equal(found.find((table) => table.table === "session_features")?.keyColumn, "session_id");
  assert.equal(found.filter((table) => table.table.startsWith("shop_")).length, 0, "the shop's own figures are nobody's features");
  assert.equal(found.filter((table) => table.table === "shopper_events").length, 0);
  // Each CREATE TABLE with such a key, counted in another way.
  const keyed = [...files.values()].join("\n").match(/PRIMARY KEY \((user_key|session_id)\)/g) ?? [];
  assert.equal(found.length, keyed.length);
  assert.ok(found.length >= 12);
});

test("each feature of the catalogue has a statement that writes it", () => {
  for (const [name, sql] of files) {
    for (const { table, columns } of featureTables(sql)) {
      for (const column of columns) {
        const text = definition(sql, table, column);
        assert.match(text, new RegExp(`INSERT INTO ${table}\\b`), `${name} ${table}.${column}`);
        assert.ok(text.length < sql.length && text.endsWith(";"));
      }
    }
  }
  assert.match(definition(file("products.sql"), "product_features_5m", "avg_viewed_price"), /AVG\(first_price\)/);
  assert.doesNotMatch(definition(file("products.sql"), "product_features_5m", "return_view_count"), /AVG\(first_price\)/);
  assert.equal(definition("SELECT 1", "t", "c"), "SELECT 1");
});

test("types with commas and brackets are one column", () => {
  const sql = "create table if not exists `t` (`user_key` STRING, m MAP<STRING, ROW<a INT, b DECIMAL(10, 2)>>, n INT, PRIMARY KEY (`user_key`) NOT ENFORCED) with ('a' = 'b)')";
  assert.deepEqual(featureTables(sql), [{ table: "t", keyColumn: "user_key", columns: ["m", "n"] }]);
  assert.deepEqual(featureTables("CREATE TABLE t (user_key STRING, w TIMESTAMP, PRIMARY KEY (user_key, w) NOT ENFORCED) WITH ('a'='b')"), [], "a key of two parts is not the shopper's alone");
});
