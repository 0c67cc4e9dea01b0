#!/usr/bin/env bash
# What the collector must have written of the Rust client's events.
#
#   check.sh FOLDER
set -euo pipefail
python3 - "$1" <<'PYTHON'
import json, sys
with open(sys.argv[1] + "/events.jsonl", encoding="utf-8") as file:
    events = [json.loads(line) for line in file]
kinds = sorted(event["type"] for event in events)
assert kinds == ["struct", "unstruct", "unstruct"], kinds
by_schema = {event["payload"].get("event", {}).get("schema", ""): event for event in events}
search = by_schema["iglu:com.acme/site_search/jsonschema/1-0-0"]
assert search["payload"]["event"]["data"] == {"terms": ["ü", "b"]}, search
assert search["enrich"]["user"]["user_id"] == "a@example.com", search["enrich"]
assert search["enrich"]["client"]["device"]["os_timezone"] == "Europe/Berlin", search["enrich"]
# Without a subject of its own an event of this crate carries none, the tracker's neither.
assert "user_id" not in by_schema[""]["enrich"]["user"], by_schema[""]["enrich"]
assert by_schema[""]["payload"]["se_data"] == {"category": "video", "action": "play"}
with open(sys.argv[1] + "/events.tsv", encoding="utf-8") as file:
    lines = [line.rstrip("\n").split("\t") for line in file]
assert [len(line) for line in lines] == [131] * 3
assert any("iglu:com.acme/shelf" in line[52] for line in lines)
assert sorted(line[12] for line in lines) == ["", "", "a@example.com"]
PYTHON
