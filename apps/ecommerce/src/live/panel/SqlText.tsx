import { tokenize } from "../sql";

const KEYWORDS = new Set(
  "INSERT INTO SELECT FROM TABLE HOP TUMBLE SESSION CUMULATE DESCRIPTOR INTERVAL WHERE GROUP BY AS AND OR NOT IN LIKE IS NULL CASE WHEN THEN ELSE END FILTER OVER PARTITION ORDER CAST COALESCE NULLIF DISTINCT IGNORE NULLS EMIT ON CHANGE WINDOW CLOSE MINUTE HOUR SECOND DAY HAVING".split(" "),
);

/** SQL with its words told apart by colour. */
export function SqlText({ sql }: { sql: string }) {
  return (
    <pre className="sql" tabIndex={0} aria-label="The query's SQL">
      <code>
        {tokenize(sql).map((token, index) => {
          const kind = token.kind === "word" ? (KEYWORDS.has(token.text.toUpperCase()) ? "keyword" : null) : token.kind === "other" ? null : token.kind;
          return kind ? <span key={index} className={`sql-${kind}`}>{token.text}</span> : token.text;
        })}
      </code>
    </pre>
  );
}
