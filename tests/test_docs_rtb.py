"""The page of the exchange says what an RTB endpoint does: every code, setting and name that is read."""

import json
import re
from pathlib import Path
from typing import get_args

from callmatrix.core.campaign import Endpoint
from callmatrix.core.rtb import REFUSALS, NotSoldCode, read_request
from callmatrix.dialects.rtb import read_values

PAGE = (Path(__file__).parent.parent / "docs" / "exchange.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Being asked for bids")[2].partition("\n## ")[0]
READ_AS = {"the caller": "caller", "ZIP": "zip", "state": "state", "the seller's source": "sub_id"}
EXAMPLES = {"caller": "+14155550199", "zip": "94105", "state": "CA", "sub_id": "s1"}


def rows(head: str) -> list[list[str]]:
    lines = SECTION.partition(f"{head}\n")[2].splitlines()[1:]
    table = [
        line for place, line in enumerate(lines) if all(one.startswith("|") for one in lines[: place + 1])
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_every_refusal_of_a_request_has_its_line() -> None:
    told = [(code.strip("`"), number, name, when) for code, number, name, when in rows(
        "| code | number | name | when |"
    )]  # fmt: skip
    known = [(code, str(one.number), one.name, f"{one.when}.") for code, one in REFUSALS.items()]
    assert told == known


def test_every_reason_to_refuse_a_call_has_its_line() -> None:
    assert [row[0].strip("`") for row in rows("| code | what it says |")] == list(get_args(NotSoldCode))


def test_every_setting_that_is_told_is_one_and_those_that_need_telling_are() -> None:
    told = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in rows("| setting | says |"))))
    assert told <= set(Endpoint.__struct_fields__)
    plain = {"id", "name", "campaign_id", "publisher_id", "status", "notes"}
    assert set(Endpoint.__struct_fields__) - plain <= set(re.findall(r"`(\w+)`", SECTION))


def test_every_name_that_is_told_is_read_as_what_is_told() -> None:
    for value, names in rows("| value | names |"):
        field = READ_AS.get(value)
        for name in re.findall(r"`(\w+)`", names):
            if field is not None:
                assert getattr(read_request({name: EXAMPLES[field]}), field) == EXAMPLES[field], name
            else:
                assert read_request({name: "500"}) != read_request({}), name


def test_the_example_of_a_request_is_one() -> None:
    body = re.search(r"^\{\"CID\".*\}$", SECTION, re.MULTILINE)
    assert body is not None
    values = read_values(query="key=rtbkey_1", content_type="application/json", body=body[0].encode())
    assert read_request(values).caller == "+" + json.loads(body[0])["CID"]
