"""Each branch is graded apart, then the whole."""

import json

import make_data
import runner

OUT = "/app/out/sales.json"


def load():
    with open(OUT, encoding="utf-8") as handle:
        rows = json.load(handle)
    assert isinstance(rows, list) and rows, "expected a JSON array that is not empty"
    return rows


def branch(name):
    want = make_data.records(name)
    tickets = {row["Ticket"] for row in want}
    got = [row for row in load() if row.get("Ticket") in tickets]
    assert len(got) == len(want), f"{len(got)} sales of {name} instead of {len(want)}"
    for mine, yours in zip(want, got):
        assert list(yours) == list(mine), f"the keys of {name} differ from its header"
        for key in ("Date", "Product", "Clerk", "Count"):
            assert yours[key] == mine[key], f"{key} of {mine['Ticket']} differs"
            assert type(yours[key]) is type(mine[key]), f"{key} of {mine['Ticket']} has a wrong type"
        assert isinstance(yours["Amount"], (int, float)), f"the amount of {mine['Ticket']} is text"
        assert abs(yours["Amount"] - mine["Amount"]) < 1e-9, f"the amount of {mine['Ticket']} differs"


def test_tab_export_with_wide_characters():
    branch("a_harbour.txt")


def test_export_with_byte_order_mark():
    branch("b_station.csv")


def test_export_in_a_western_code_page():
    branch("c_market.csv")


def test_plain_export():
    branch("d_airport.csv")


def test_order_and_completeness():
    want = [row["Ticket"] for name in make_data.SYSTEMS for row in make_data.records(name)]
    assert [row.get("Ticket") for row in load()] == want, "sales are missing, extra or out of order"


def run():
    runner.main([(n, f) for n, f in globals().items() if n.startswith("test_")])
