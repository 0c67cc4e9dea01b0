// Snowbridge's script engine has no modules and nothing of Node's: the transform runs in a context that has
// neither.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";

/** The transform's `main`, from the file that Snowbridge is given. */
export function loadTransform() {
  const context = createContext({});
  const file = new URL("../../../infra/snowplow/transform.js", import.meta.url);
  runInContext(readFileSync(file, "utf8"), context, { filename: file.pathname });
  return (data, key = "") => {
    context.input = { Data: data, PartitionKey: key, FilterOut: false, HTTPHeaders: {} };
    return JSON.parse(runInContext("JSON.stringify(main(input))", context));
  };
}
