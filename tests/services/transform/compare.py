"""Reads enriched events (TSV), has Snowplow's own SDK and Snowbridge's transform make topic records of them,
and compares those with the records that the simulator writes for the same events.

    compare.py EVENTS.tsv RECORDS.jsonl LINES.mjs
"""

import json
import subprocess
import sys

import snowplow_analytics_sdk.event_transformer as sdk

tsv, records, lines = sys.argv[1:]
with open(tsv, encoding="utf-8") as file:
    events = [sdk.transform(line.rstrip("\n")) for line in file]
# The SDK for Python names a column twice where an event has its address: nothing else of it matters here.
text = "".join(json.dumps(event) + "\n" for event in events)
made = subprocess.run(["node", lines], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
with open(records, encoding="utf-8") as file:
    wanted = {record["id"]: record for record in map(json.loads, file)}


def time(text):
    """Fractions may be trimmed: the time is the same."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return whole, fraction.rstrip("0")


# What queries/events.sql reads, and a little more. A path ends where its value is compared.
PATHS = ["type", "payload.page_url", "payload.page_title", "payload.list_name", "payload.product", "payload.cart", "payload.checkout_step",
         "payload.transaction", "payload.promotion", "enrich.client.useragent", "enrich.client.device.os_timezone", "enrich.user.user_id",
         "enrich.user.domain_userid", "enrich.user.ip_address", "enrich.marketing.mkt_campaign", "enrich.platform", "session.sessionId"]


def at(record, path):
    for name in path.split("."):
        record = (record or {}).get(name)
    # Absent, null, empty: all the same to a reader.
    return None if record in ("", {}, None) else record


seen, differ = {}, []
for record in map(json.loads, made):
    other = wanted.get(record["id"])
    if other is None:
        differ.append(f"{record['id']}: the simulator has no such event")
        continue
    if time(record["timestamp"]) != time(other["timestamp"]):
        differ.append(f"{record['id']}: {record['timestamp']}, wanted {other['timestamp']}")
    for path in PATHS:
        # A failed payment names its transaction; the simulator's records leave it out, and no query reads it.
        if path == "payload.transaction" and record["type"] == "trns_error":
            continue
        ours, theirs = at(record, path), at(other, path)
        seen[path] = seen.get(path, 0) + (theirs is not None)
        if ours != theirs:
            differ.append(f"{record['id']} {record['type']}: {path} is {json.dumps(ours)}, wanted {json.dumps(theirs)}")

print(*differ[:20], sep="\n")
never = [path for path in PATHS if not seen.get(path)]
if differ or never or len(made) < 1000:
    sys.exit(f"{len(made)} records, {len(differ)} differences; never seen: {never}")
print(f"{len(made)} records are as they should be")
