"""How well the bundled rules tell right work from breaches: precision and recall per rule.

    python benchmarks/constitution.py [--each]

The corpus has the episodes written by hand in `constitution.yaml` and those generated here
from the facts: every place with right and wrong rates, amounts and split taxes, goods that
are free of tax and goods nobody knows. An episode is right, a breach, or undecidable from
what it shows. Of the right ones none may be condemned; of the breaches 95% are to be found.
"""

import argparse
import datetime as dt
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple

from grindstone.graduation.constitution.evaluate import Compliance, evaluate
from grindstone.graduation.constitution.material import Action, Material
from grindstone.graduation.constitution.pack import Pack, load_packs
from grindstone.graduation.rules.files import read_yaml

DAY = dt.date(2026, 2, 3)
TAX = "canada-sales-tax"
PLACES = {
    "AB": {"gst": "5"},
    "BC": {"gst": "5", "pst": "7"},
    "MB": {"gst": "5", "rst": "7"},
    "NB": {"hst": "15"},
    "NL": {"hst": "15"},
    "NS": {"hst": "14"},
    "NT": {"gst": "5"},
    "NU": {"gst": "5"},
    "ON": {"hst": "13"},
    "PE": {"hst": "15"},
    "QC": {"gst": "5", "qst": "9.975"},
    "SK": {"gst": "5", "pst": "6"},
    "YT": {"gst": "5"},
}
"""Percent by tax, written a second time on purpose: the facts are held against it."""


class Case(NamedTuple):
    """An episode with what is true of it."""

    pack: str
    rule: str
    expect: str
    material: Material


def material(*actions: Action, day: dt.date = DAY, name: str = "ep") -> Material:
    return Material(episode_id=name, day=day, actions=actions)


def written() -> Iterator[Case]:
    """Yield the episodes written by hand."""
    for row in read_yaml(Path(__file__).with_suffix(".yaml")):
        actions: tuple[Action, ...] = ()
        if "say" in row:
            text, closing = row["say"], row.get("submit", False)
            fields = {"message": text} if closing else {}
            actions = (Action(index=1, tool="submit" if closing else "", fields=fields, text=text),)
        elif "tool" in row:
            actions = (Action(index=1, tool=row["tool"], fields=row["fields"]),)
        day = row.get("day", DAY)
        yield Case(row["pack"], row["rule"], row["expect"], material(*actions, day=day))


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def generated() -> Iterator[Case]:
    """Yield episodes made from the rates of each place."""
    for place, taxes in PLACES.items():
        whole = sum((Decimal(share) for share in taxes.values()), Decimal(0))
        for expect, off in (("right", Decimal(0)), ("breach", Decimal(1)), ("breach", Decimal(-2))):
            share = whole + off
            for value in (float(share / 100), float(share), f"{share}%", f"{share} per cent"):
                yield quote(expect, "CA-TAX-RATE", taxRate=value, province=place)
            for base in ("19.99", "250.00"):
                price = Decimal(base)
                tax = cents(price * share / 100)
                yield quote(expect, "CA-TAX-AMOUNT", subtotal=base, tax=str(tax), province=place)
                total = f"${price + tax}"
                yield quote(expect, "CA-TAX-AMOUNT", subTotal=base, total=total, province=place)
            parts = {
                f"{name}_amount": str(cents(Decimal(100) * (Decimal(part) + off) / 100))
                for name, part in taxes.items()
            }
            yield quote(expect, "CA-TAX-AMOUNT", net=100, jurisdiction=place, **parts)
        yield quote("undecided", "CA-TAX-RATE", tax_rate="5%", province=place, item="kombucha")
        name = next(iter(taxes)).upper()
        for off, expect in ((Decimal(0), "right"), (Decimal(2), "breach")):
            share = Decimal(next(iter(taxes.values()))) + off
            said = Action(index=1, text=f"In the sale to {place} {name} at {share}% is added.")
            yield Case(TAX, "CA-TAX-STATED", expect, material(said))


def quote(expect: str, rule: str, **fields: object) -> Case:
    action = Action.model_validate({"index": 1, "tool": "issue_quote", "fields": fields})
    return Case(TAX, rule, expect, material(action))


def small_invoices() -> Iterator[Case]:
    """Yield every rightly rounded Ontario invoice from $0.50 to $50.00."""
    for price in range(50, 5001):
        base = Decimal(price) / 100
        tax = cents(base * 13 / 100)
        yield quote("right", "CA-TAX-AMOUNT", subtotal=str(base), tax=str(tax), province="ON")


def answer(case: Case, packs: dict[str, Pack]) -> str:
    """Return what the rules say of a case: right, breach or undecided."""
    return told(evaluate(case.material, packs[case.pack], demanded=True), case.rule)


def told(found: Compliance, rule: str) -> str:
    if any(rule in ("*", each.rule) for each in found.violations):
        return "breach"
    # Judged rules are for a judge; the corpus asks what the others say by themselves.
    open_ones = [text for text in found.undecided if not text.endswith("no judge was asked")]
    mine = [text for text in open_ones if rule == "*" or text.startswith((rule, "the episode"))]
    return "undecided" if mine else "right"


def main() -> int:
    parser = argparse.ArgumentParser(description="Precision and recall of the bundled rules.")
    parser.add_argument("--each", action="store_true", help="List every wrong answer.")
    options = parser.parse_args()
    packs = load_packs()
    corpus = [*written(), *generated()]
    started = time.perf_counter()
    tables: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for case in corpus:
        said = answer(case, packs)
        tables[case.rule][case.expect, said] += 1
        if options.each and said != case.expect:
            print(f"{case.rule}: {case.expect}, told {said}: {case.material.text[:160]!r}")
    spent = time.perf_counter() - started
    print(f"{'rule':20} {'right':>6} {'breach':>6} {'open':>6} {'precision':>10} {'recall':>7}")
    for rule, table in sorted(tables.items()):
        print(row(rule, table))
    every: Counter[tuple[str, str]] = sum(tables.values(), Counter())
    print(row("all", every))
    print(f"{len(corpus)} episodes, {1000 * spent / len(corpus):.2f} ms each")
    condemned = every["right", "breach"] + every["undecided", "breach"]
    invoices = list(small_invoices())
    wrong = sum(answer(case, packs) != "right" for case in invoices)
    print(f"{len(invoices)} rightly rounded invoices: {wrong} not found right")
    found = every["breach", "breach"] / sum(every["breach", s] for s in SAID)
    return int(bool(condemned or wrong) or found < 0.95)


SAID = ("right", "breach", "undecided")


def row(rule: str, table: Counter[tuple[str, str]]) -> str:
    counts = [sum(table[expect, said] for said in SAID) for expect in SAID]
    told_so = sum(table[expect, "breach"] for expect in SAID)
    precision = f"{table['breach', 'breach'] / told_so:.3f}" if told_so else "-"
    recall = f"{table['breach', 'breach'] / counts[1]:.3f}" if counts[1] else "-"
    numbers = " ".join(f"{count:6}" for count in counts)
    return f"{rule:20} {numbers} {precision:>10} {recall:>7}"


if __name__ == "__main__":
    sys.exit(main())
