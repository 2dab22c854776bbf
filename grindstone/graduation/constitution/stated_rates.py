"""Rates that a sentence states, against the facts.

Only a plain assertion is held against them: what a sentence denies, compares, tells of the
past or splits into parts is left to a reader.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from grindstone.graduation.constitution.disclosure import told_by
from grindstone.graduation.constitution.knowledge import Knowledge
from grindstone.graduation.constitution.material import Action, ActionFinding, Material
from grindstone.graduation.constitution.sales_tax import (
    RATE_TOLERANCE,
    Place,
    place_of,
    rate_due,
    regions_of,
    ways_of,
)

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_TAXES = (
    r"HST|GST|PST|QST|RST|TVQ|TPS|TVH|"
    r"(?:harmonized |provincial |retail |federal )?sales tax(?:es)?"
)
_SHARE = r"(?<!\d)(\d{1,9}(?:\.\d{1,9})?)\s?(?:%|per\s?cent\b|percent\b)"
_STATED = (
    re.compile(rf"{_SHARE}\)?\s*(?:for |of |in |as )?(?:the )?({_TAXES})\b", re.I),
    re.compile(
        rf"\b({_TAXES})\b\s*(?:rate\s*)?(?:\(|is|at|of|:|=|charged at|comes to|will be|,)*"
        rf"\s*(?:is |at |of )*\s*{_SHARE}",
        re.I,
    ),
)
_NOT_ASSERTED = re.compile(
    r"\b(no|not|never|without|isn't|instead of|rather than|until|before|was|were|used to|"
    r"former|previously|if|unless|would|except|exempt|zero-rated|free of|made of|consists|composed|"
    r"portion|part of|component|federal part|used by mistake|wrong|incorrect|corrected|versus|"
    r"vs|compared)\b",
    re.I,
)
_SYNONYM = {"TVQ": "QST", "TPS": "GST", "TVH": "HST"}


def stated_rates(material: Material, knowledge: Knowledge) -> Iterator[ActionFinding]:
    """Yield what comes of each rate that a sentence asserts."""
    for action in material.carriers():
        yield from _stated(action, material, knowledge)


def _stated(action: Action, material: Material, knowledge: Knowledge) -> Iterator[ActionFinding]:
    for sentence in _SENTENCE.split(told_by(action).text):
        found = [
            (tax, Decimal(share))
            for at, pattern in enumerate(_STATED)
            for match in pattern.finditer(sentence)
            for share, tax in [match.groups() if at == 0 else match.groups()[::-1]]
        ]
        if not found or _NOT_ASSERTED.search(sentence):
            continue
        here = regions_of(knowledge.named(sentence, "place"), material, knowledge)
        if len(here) > 1:
            continue  # a comparison of places is for a reader
        place = Place(here) if here else place_of(action.fields, action, material, knowledge)
        if not place.ids:
            yield ActionFinding(action, undecided=place.missing)
            continue
        yield from _sentence(action, place, found, material, knowledge)


def _sentence(
    action: Action,
    place: Place,
    found: list[tuple[str, Decimal]],
    material: Material,
    knowledge: Knowledge,
) -> Iterator[ActionFinding]:
    levied = [ways for each in place.ids if (ways := knowledge.taxes(each, "", material.day))]
    if not levied:
        yield ActionFinding(action, undecided=f"the facts give no taxes of {place.ids[0]}")
        return
    for tax, share in dict.fromkeys(found):
        rate, name = share / 100, _SYNONYM.get(tax.upper(), tax.upper())
        if name.startswith(("PROVINCIAL", "RETAIL")):
            name = "PST"
        elif name.startswith("FEDERAL"):
            name = "GST"
        elif "TAX" in name:
            name = ""
        fits, because = [], ""
        for ways in levied:
            due = ways[0]
            expected = rate_due(name, due)
            if expected is None and name != "HST":
                continue  # in an HST province the parts are told apart by nobody's law
            if expected is None:
                expected = rate_due("", due) or Decimal(0)
            right = abs(rate - expected) <= RATE_TOLERANCE or rate == 0
            fits.append(right)
            if not right:
                because = f"{float(rate):g} instead of {float(expected):g}: {due.because}"
        if not fits or all(fits):
            yield ActionFinding(action)
        elif any(fits):
            yield ActionFinding(action, undecided="place is not stated")
        else:
            ways_of_item, problem = ways_of(
                place.ids[0], action.fields, action, material, knowledge
            )
            open_ways = ways_of_item is None or any(
                abs(rate - Decimal(str(round(sum(way.rates.values()), 6)))) <= RATE_TOLERANCE
                for way in ways_of_item
            )
            yield (
                ActionFinding(action, undecided=problem or "the goods")
                if open_ways
                else ActionFinding(action, breach=because)
            )
