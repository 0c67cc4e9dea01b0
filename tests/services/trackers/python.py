"""Sends every kind of event with snowplow-tracker, reads the TSV back with snowplow-analytics-sdk.

    python.py URL FOLDER

FOLDER holds events.jsonl and events.tsv, which the collector at URL writes.
"""

import json
import sys
from urllib.parse import urlparse

from snowplow_analytics_sdk.event_transformer import ENRICHED_EVENT_FIELD_TYPES, transform
from snowplow_tracker import (
    Emitter,
    PagePing,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

ECOMMERCE = "iglu:com.snowplowanalytics.snowplow.ecommerce/%s/jsonschema/%s"
PAGE = "https://shop.example:8443/a%20b?utm_source=news&utm_campaign=spring+sale&gclid=click#top"
SEARCH = "https://www.google.com/search?q=red+shoes"


def order():
    """Entities of an order: its products and its transaction."""
    product = {"id": "p-1", "category": "shoes", "price": 129.99, "currency": "EUR", "name": "ü \"x\"\t\n"}
    transaction = {
        "transaction_id": "t-1",
        "revenue": 129.99,
        "currency": "EUR",
        "payment_method": "card",
        "total_quantity": 1,
    }
    return [
        SelfDescribingJson(ECOMMERCE % ("product", "1-0-0"), product),
        SelfDescribingJson(ECOMMERCE % ("transaction", "1-0-0"), transaction),
    ]


def send(url, method, encoded):
    """Sends one event of each kind, and asserts that all are acknowledged."""
    failed = []
    emitter = Emitter(
        url.hostname,
        protocol="http",
        port=url.port,
        method=method,
        batch_size=3,
        on_failure=lambda count, events: failed.extend(events),
    )
    subject = Subject()
    subject.set_platform("web").set_user_id("a@example.com").set_screen_resolution(1920, 1080)
    subject.set_viewport(1280, 720).set_color_depth(24).set_timezone("Europe/Berlin").set_lang("de")
    subject.set_domain_user_id("d-1").set_domain_session_index(3).set_ip_address("203.0.113.7")
    subject.set_domain_session_id("c9727c0f-0f83-4a70-9eca-a415cf9ea52b")
    subject.set_useragent("Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0")
    tracker = Tracker("ns", emitters=emitter, subject=subject, app_id="shop", encode_base64=encoded)
    action = {"type": "transaction"}
    tracker.track(PageView(page_url=PAGE, page_title="Home\tünd", referrer=SEARCH))
    tracker.track(PagePing(page_url=PAGE, min_x=0, max_x=1, min_y=2, max_y=300))
    tracker.track(StructuredEvent("video", "play", label="l", property_="p", value=1.5))
    tracker.track(
        SelfDescribing(
            SelfDescribingJson(ECOMMERCE % ("snowplow_ecommerce_action", "1-0-2"), action), context=order()
        )
    )
    tracker.track(
        SelfDescribing(
            SelfDescribingJson("iglu:com.acme/site_search/jsonschema/1-0-0", {"terms": ["a", "b"]}),
            true_timestamp=1742986606033,
        )
    )
    tracker.flush()
    assert not failed, failed


def check_json(events):
    """What the JSON of one round says."""
    view, ping, struct, transaction, search = events
    assert [event["type"] for event in events] == ["page_view", "page_ping", "struct", "transaction", "unstruct"]
    assert view["payload"] == {"page_title": "Home    ünd", "page_url": PAGE, "referrer": SEARCH}, view["payload"]
    assert view["enrich"]["marketing"]["mkt_campaign"] == "spring sale"
    assert view["enrich"]["referrer"] == {"medium": "search", "source": "Google", "term": "red shoes"}
    assert view["enrich"]["user"]["user_id"] == "a@example.com"
    assert view["enrich"]["user"]["ip_address"] == "203.0.113.7"
    assert ping["payload"] == {}
    assert struct["payload"]["se_data"]["value"] == "1.5"
    payload = transaction["payload"]
    assert payload["transaction"]["revenue"] == 129.99, payload
    assert payload["products"][0]["name"] == "ü \"x\"\t\n", payload
    assert search["payload"]["event"]["data"] == {"terms": ["a", "b"]}
    assert search["timestamp"] == "2025-03-26T10:56:46.033Z"
    for event in events:
        assert event["metadata"]["app_id"] == "shop" and event["enrich"]["platform"] == "web"
        assert event["session"]["domain_sessionidx"] == 3


def check_tsv(line, event):
    """What the SDK reads in a line is what its fields say, and what the JSON says."""
    texts = line.split("\t")
    assert len(texts) == len(ENRICHED_EVENT_FIELD_TYPES) == 131
    read = transform(line)
    kinds = {"event_id": event["id"], "app_id": "shop", "user_id": "a@example.com", "platform": "web"}
    for name, want in kinds.items():
        assert read[name] == want, (name, read[name])
    # Every field that has a text is read: by its name, or as entities by theirs.
    for (name, _), text in zip(ENRICHED_EVENT_FIELD_TYPES, texts):
        if text and name not in ("contexts", "derived_contexts", "unstruct_event"):
            assert name in read, name
    assert read["dvce_screenwidth"] == 1920 and read["br_viewheight"] == 720
    assert read["collector_tstamp"].endswith("Z") and read["v_etl"].startswith("tidewheel-")
    assert len(read["event_fingerprint"]) == 64
    assert read["contexts_com_snowplowanalytics_snowplow_ua_parser_context_1"][0]["useragentFamily"] == "Firefox"
    return read


def main():
    url, folder = urlparse(sys.argv[1]), sys.argv[2]
    rounds = [("post", True), ("post", False), ("get", True), ("get", False)]
    for method, encoded in rounds:
        send(url, method, encoded)
    with open(f"{folder}/events.jsonl", encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    with open(f"{folder}/events.tsv", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    assert len(events) == len(lines) == 5 * len(rounds), (len(events), len(lines))
    for number in range(len(rounds)):
        part = slice(5 * number, 5 * number + 5)
        check_json(events[part])
        view, _, struct, transaction, search = [
            check_tsv(line, event) for line, event in zip(lines[part], events[part])
        ]
        assert view["page_urlport"] == 8443 and view["page_urlfragment"] == "top"
        assert view["mkt_network"] == "Google" and view["refr_term"] == "red shoes"
        assert struct["se_value"] in (1.5, "1.5")
        name = "contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1"
        assert transaction[name][0]["transaction_id"] == "t-1"
        action = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
        assert transaction[action] == {"type": "transaction"}
        assert search["unstruct_event_com_acme_site_search_1"] == {"terms": ["a", "b"]}
        assert search["true_tstamp"].startswith("2025-03-26T10:56:46")


main()
