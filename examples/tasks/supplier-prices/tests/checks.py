"""The price list must have come through: text, numbers and dates are graded apart."""

import json

import make_data
import runner

OUT = "/app/out/prices.json"


def pairs():
    with open(OUT, encoding="utf-8") as handle:
        got = json.load(handle)
    want = make_data.records()
    assert isinstance(got, list), "expected a JSON array"
    assert len(got) == len(want), f"{len(got)} records instead of {len(want)}"
    return list(zip(want, got))


def same(column):
    for want, got in pairs():
        assert got.get(column) == want[column], f"{column} of article {want['Artikel']} differs"


def test_record_count():
    pairs()


def test_header_names():
    for want, got in pairs():
        assert list(got) == list(want), "the keys differ from the header's names"


def test_article_numbers_stay_text():
    same("Artikel")


def test_umlauts_survive():
    same("Bezeichnung")


def test_quoted_notes():
    for want, got in pairs():
        note = str(got.get("Hinweis")).replace("\r\n", "\n")
        assert note == want["Hinweis"], f"the note of article {want['Artikel']} differs"


def test_whole_numbers():
    same("Menge")


def test_prices_are_numbers():
    for want, got in pairs():
        price = got.get("Preis")
        assert isinstance(price, (int, float)) and not isinstance(price, bool), "a price is text"
        assert abs(price - want["Preis"]) < 1e-9, f"the price of {want['Artikel']} differs"


def test_dates():
    same("Gültig ab")


def run():
    runner.main([(n, f) for n, f in globals().items() if n.startswith("test_")])
