"""One example body for each configuration noun, shown in /docs and tried by a test."""

from typing import Any, Final

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "campaign": {
        "name": "Plumbing California",
        "vertical": "home services",
        "geography": {"states": ["CA"]},
        "time_zone": "America/Los_Angeles",
        "plan": {"strategy": "auction", "entries": []},
        "status": "draft",
    },
    "offer": {
        "buyer_id": "buy_01jq0000000000000000000000",
        "name": "Emergency plumbing, day",
        "destination": {"kind": "phone", "number": "+14155550110"},
        "price": {"kind": "fixed", "amount": "38.00", "after_s": 90},
        "rule": {"kind": "leaf", "subject": "caller_state", "operator": "equal", "values": ["CA"]},
        "required_fields": ["zip"],
        "limits": {
            "caps": [{"kind": "count", "metric": "conversion", "window": "day", "limit": 20}],
            "concurrency": 3,
        },
    },
    "buyer": {
        "name": "Golden Gate Plumbing",
        "billing": "postpaid",
        "credit_limit": "2500.00",
        "time_zone": "America/Los_Angeles",
        "limits": {"caps": [{"kind": "money", "metric": "revenue", "window": "day", "limit": "900.00"}]},
    },
    "publisher": {
        "name": "Search Traffic West",
        "terms": {"payout": {"kind": "share", "share_bps": 6500}},
    },
    "number": {
        "number": "+14155550199",
        "connection_id": "con_01jq0000000000000000000000",
        "tags": {"source": "search"},
    },
    "connection": {
        "name": "Our carrier",
        "carrier": "twilio",
        "public_base_url": "https://calls.example.com",
        "account_sid": "AC00000000000000000000000000000000",
    },
    "endpoint": {
        "name": "Overflow of Search Traffic West",
        "campaign_id": "cmp_01jq0000000000000000000000",
        "publisher_id": "pub_01jq0000000000000000000000",
        "numbers": ["num_01jq0000000000000000000000"],
        "price": {"kind": "share", "share_bps": 7500},
        "required_fields": ["zip"],
        "limits": {"per_minute": 600},
        "networks": ["203.0.113.0/24"],
    },
    "flow": {
        "name": "Ask for the ZIP",
        "draft": {
            "start": "ask_zip",
            "nodes": {
                "ask_zip": {
                    "kind": "collect",
                    "prompt": {"kind": "say", "text": "Please enter your five digit zip code."},
                    "field": "zip",
                    "type": "zip",
                    "next": "route",
                    "failed": "route",
                },
                "route": {"kind": "route"},
            },
        },
    },
}
