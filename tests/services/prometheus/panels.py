"""Asks Prometheus for each expression of each dashboard until all of them have data, or time is over; then
looks that every alert rule is evaluated without an error.

    panels.py PROMETHEUS_URL DASHBOARD.json...
"""

import json
import sys
import time
import urllib.parse
import urllib.request

PATIENCE = 120
url, boards = sys.argv[1], sys.argv[2:]


def ask(path, **query):
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


wanted = []
for board in boards:
    with open(board, encoding="utf-8") as file:
        for panel in json.load(file)["panels"]:
            wanted += [(board, panel["title"], target["expr"]) for target in panel.get("targets", [])]
if len(wanted) < 40:
    sys.exit(f"only {len(wanted)} expressions were found")

end = time.monotonic() + PATIENCE
empty = wanted
while empty and time.monotonic() < end:
    empty = [(board, title, expr) for board, title, expr in empty if not ask("query", query=expr)["result"]]
    time.sleep(0.5)
for board, title, expr in empty:
    print(f"{board}: '{title}' shows nothing: {expr}")

rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
broken = [rule for rule in rules if rule["health"] != "ok"]
for rule in broken:
    print(f"the rule {rule['name']} is {rule['health']}: {rule.get('lastError')}")
if empty or broken or len(rules) < 9:
    sys.exit(1)
print(f"{len(wanted)} expressions have data, {len(rules)} rules are evaluated")
