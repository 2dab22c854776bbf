"""Sales against the facts: does what was charged fit what may be due?

Place, goods, buyer and the rest settle which taxes are due, or leave several ways open. What
fits every way is right, what fits none is a breach, and what fits only some is undecided.
Money is compared to the cent: half a cent either way for each tax that is rounded, once for
the whole invoice or once for each of its lines.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from typing import Literal, NamedTuple

from pydantic import JsonValue

from grindstone.graduation.constitution.disclosure import told_by
from grindstone.graduation.constitution.knowledge import Knowledge, Particulars, Taxes
from grindstone.graduation.constitution.material import Action, ActionFinding, Material
from grindstone.graduation.constitution.reading import number
from grindstone.graduation.constitution.sales import Sale, sales_in, written_sale

Aspect = Literal["rate", "amount", "stated"]

CENT = Decimal("0.01")
HALF_CENT = Decimal("0.005")
RATE_TOLERANCE = Decimal("0.00005")
MAX_WAYS = 64

PLACES = (
    "jurisdiction",
    "province",
    "place",
    "place_of_supply",
    "ship_to_province",
    "region",
    "state",
    "ship_to",
    "destination",
    "city",
    "town",
    "location",
)
ITEMS = (
    "item_kind",
    "item",
    "goods",
    "product",
    "description",
    "item_name",
    "product_name",
    "category_of_goods",
)
BUYERS = (
    "buyer",
    "buyer_type",
    "customer_type",
    "buyer_kind",
    "purchaser",
    "certificate",
    "exemption",
    "customer_name",
    "buyer_name",
    "customer",
)
SUPPLIES = ("supply", "transaction", "transaction_type", "supply_type", "kind_of_supply", "terms")
POWER = (
    *((name, 1.0) for name in ("power_kw", "pto_kw", "kw", "engine_kw")),
    *((name, 0.7457) for name in ("power_hp", "pto_hp", "hp", "horsepower")),
)
"""Fields of a machine's power with what makes kilowatts of it."""
_POWER_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s?-?(kW|hp|horsepower)\b", re.I)
_NO_HEAD = re.compile(
    r"\b(parts?|toy|model|miniature|repairs?|service|insurance|book|manual|attachment|seat)\b", re.I
)


class Place(NamedTuple):
    """The places a sale may be at; with why it is not known when there is none."""

    ids: tuple[str, ...]
    missing: str = ""


def verdicts(aspect: Aspect, material: Material, knowledge: Knowledge) -> Iterator[ActionFinding]:
    """Yield what comes of every sale that states rates, or money."""
    for action in material.carriers():
        for sale in _sales(action, material):
            if (aspect == "rate" and sale.rates) or (
                aspect == "amount"
                and sale.base is not None
                and (sale.amounts or sale.total is not None)
            ):
                yield _judge(sale, aspect, action, material, knowledge)


def _sales(action: Action, material: Material) -> Iterator[Sale]:
    yield from sales_in(
        action.fields, dict(material.metadata) if action.fields is not material.metadata else None
    )
    texts = [told_by(action).text] if action.text or action.tool else []
    for text in texts:
        written = written_sale(text, material.metadata) if not _has_sale(action) else None
        if written is not None:
            yield written


def _has_sale(action: Action) -> bool:
    return next(sales_in(action.fields), None) is not None


def _judge(  # noqa: PLR0911 - each return is a reason of its own
    sale: Sale, aspect: Aspect, action: Action, material: Material, knowledge: Knowledge
) -> ActionFinding:
    at = place_of(sale.around, action, material, knowledge)
    if not at.ids:
        return ActionFinding(action, undecided=at.missing)
    arounds = (
        [line.around for line in sale.lines] if aspect == "amount" and sale.lines else [sale.around]
    )
    fits: list[bool] = []
    because, missing = "", set[str]()
    for where in at.ids:
        per_line: list[tuple[Taxes, ...]] = []
        for around in arounds:
            found, problem = ways_of(where, around, action, material, knowledge)
            if found is None:
                return ActionFinding(action, undecided=problem)
            per_line.append(found)
        if len(at.ids) > 1:
            missing.add("place")
        for each in per_line:
            missing |= {name for way in each for name in way.missing}
        for count, way in enumerate(product(*per_line)):
            if count >= MAX_WAYS:
                return ActionFinding(action, undecided="too many ways the lines may be taxed")
            problem = _misfit_rate(sale, way[0]) if aspect == "rate" else _misfit_amount(sale, way)
            fits.append(not problem)
            because = problem or because
    if all(fits):
        return ActionFinding(action)
    if any(fits):
        return ActionFinding(
            action, undecided=f"{', '.join(sorted(missing)) or 'the goods'} not stated"
        )
    if sale.other and aspect == "amount":
        return ActionFinding(action, undecided="other amounts are added or taken off")
    return ActionFinding(action, breach=because)


def _misfit_rate(sale: Sale, due: Taxes) -> str:
    """Return how the stated rates differ from those due; empty when they do not."""
    whole = Decimal(str(round(sum(due.rates.values()), 6)))
    by_tax = dict(sale.rates)
    parts = {tax: rate for tax, rate in by_tax.items() if tax}
    for tax, rate in by_tax.items():
        by_itself = rate_due(tax, due)
        given = sum(parts.values(), Decimal(0)) if by_itself is None else rate
        expected = whole if by_itself is None else by_itself
        if abs(given - expected) > RATE_TOLERANCE:
            return f"{float(given):g} instead of {float(expected):g}: {due.because}"
    return ""


def rate_due(tax: str, due: Taxes) -> Decimal | None:
    """Return the rate of a tax, of all for an empty name; None where it is not levied."""
    if not tax:
        return Decimal(str(round(sum(due.rates.values()), 6)))
    name = _levied(tax, due)
    return Decimal(str(due.rates[name])) if name else None


def _levied(tax: str, due: Taxes) -> str:
    if tax in due.rates:
        return tax
    if tax in {"PST", "RST", "QST"}:
        return next((each for each in due.rates if each in {"PST", "RST", "QST"}), "")
    return ""


def _misfit_amount(sale: Sale, due: tuple[Taxes, ...]) -> str:
    """Return how the tax charged differs from what is due, to the cent."""
    base = sale.base or Decimal(0)
    bases = [line.base for line in sale.lines] if sale.lines else [base]
    if any(each is None for each in bases):
        if len({tuple(way.rates.items()) for way in due}) > 1:
            return ""
        bases, due = [base], due[:1]
    known = [each or Decimal(0) for each in bases]
    stated = dict(sale.amounts)
    parts = {tax: money for tax, money in stated.items() if tax}
    whole = stated.get("")
    if whole is None and parts:
        for tax, money in parts.items():
            name = _levied(tax, due[0])
            if name and not _fits(
                money, known, [(Decimal(str(way.rates.get(name, 0))),) for way in due]
            ):
                return _told(money, known, due, name)
        # Every tax that is due is among those charged, or the sum is short of it.
        whole = sum(parts.values(), Decimal(0))
        if "HST" not in parts and len(parts) == 1 and len(due[0].rates) > 1 and sale.total is None:
            return ""
    if whole is not None and not _fits(whole, known, [_rates(way) for way in due]):
        return _told(whole, known, due)
    if sale.total is not None and not sale.other:
        charged = sale.total - base
        if not _fits(charged, known, [_rates(way) for way in due]):
            return _told(charged, known, due)
    return ""


def _rates(way: Taxes) -> tuple[Decimal, ...]:
    return tuple(Decimal(str(rate)) for rate in way.rates.values())


def _fits(money: Decimal, bases: list[Decimal], rates: list[tuple[Decimal, ...]]) -> bool:
    """Whether an amount is the tax, rounded once per tax for the invoice or for each line."""
    exact = [
        (base, part) for base, parts in zip(bases, rates, strict=True) for part in parts if part
    ]
    due = sum((base * part for base, part in exact), Decimal(0))
    taxes = max((sum(1 for part in parts if part) for parts in rates), default=0) or 1
    if abs(abs(money) - abs(due)) <= HALF_CENT * taxes:
        return True
    by_line = sum((_cents(base * part) for base, part in exact), Decimal(0))
    by_sum = sum(
        (
            _cents(sum((base * part for part in parts), Decimal(0)))
            for base, parts in zip(bases, rates, strict=True)
        ),
        Decimal(0),
    )
    return abs(money) in {abs(by_line), abs(by_sum)}


def _cents(money: Decimal) -> Decimal:
    return money.quantize(CENT, ROUND_HALF_UP)


def _told(money: Decimal, bases: list[Decimal], due: tuple[Taxes, ...], tax: str = "") -> str:
    expected = sum(
        (
            base * (Decimal(str(way.rates.get(tax, 0))) if tax else sum(_rates(way), Decimal(0)))
            for base, way in zip(bases, due, strict=True)
        ),
        Decimal(0),
    )
    name = f"{tax} " if tax else ""
    return f"{name}{money} instead of {_cents(expected)}: {due[0].because}"


def place_of(
    around: Mapping[str, JsonValue], action: Action, material: Material, knowledge: Knowledge
) -> Place:
    """Return where a sale is made: from fields first, else from what the text names."""
    for name in PLACES:
        stated = around.get(name) or material.metadata.get(name)
        if isinstance(stated, str) and stated.strip():
            if stated in knowledge.graph:
                return Place((stated,))
            exact = knowledge.named_exactly(stated, "place")
            found = {exact} if exact else set(knowledge.named(stated, "place"))
            regions = regions_of(found, material, knowledge)
            if not regions:
                return Place((), f"place {stated!r} is unknown to the facts")
            return Place(regions)
    for text in (action.all_text, material.text, material.heard):
        regions = regions_of(knowledge.named(text, "place"), material, knowledge)
        if regions:
            return Place(regions)
    return Place((), "place is not stated")


def regions_of(found: Iterable[str], material: Material, knowledge: Knowledge) -> tuple[str, ...]:
    """Return the taxing regions that places lie in."""
    return tuple(sorted({knowledge.region_of(each, material.day) for each in found} - {""}))


def ways_of(
    region: str,
    around: Mapping[str, JsonValue],
    action: Action,
    material: Material,
    knowledge: Knowledge,
) -> tuple[tuple[Taxes, ...] | None, str]:
    """Return the taxes that may be due on a line, or why that is not known."""
    day = material.day
    stated = next(
        (str(source[name]) for source in (around, material.metadata) for name in ITEMS
         if isinstance(source.get(name), str) and str(source[name]).strip()
         and not (name == "description" and source is material.metadata)),
        "",
    )  # fmt: skip
    particulars = _particulars(around, action, material, knowledge)
    items: tuple[str, ...] = ("",)
    if stated:
        item = _item(stated, knowledge)
        if not item:
            return None, f"item {stated!r} is unknown to the facts"
        items = (item,)
    else:
        said = knowledge.named(action.all_text, "item") or knowledge.named(material.text, "item")
        # A word of the text may mean the goods, or not: "combine" is a verb as well.
        items = ("", *sorted(said))
    found: dict[tuple[tuple[str, float], ...], Taxes] = {}
    for item in items:
        due = knowledge.taxes(region, item, day, particulars)
        if due is None:
            if not item or stated:
                what = f" on {item}" if item else ""
                return None, f"the facts give no taxes of {region}{what} on {day}"
            continue
        for way in due:
            found.setdefault(tuple(sorted(way.rates.items())), way)
    return tuple(found.values()), ""


def _item(stated: str, knowledge: Knowledge) -> str:
    exact = knowledge.named_exactly(stated, "item")
    if exact:
        return exact
    head = re.split(r"[,(;:]", stated)[0].strip()
    if _NO_HEAD.search(stated):
        return ""
    named = knowledge.named_exactly(head, "item")
    if named:
        return named
    found = [each for each in knowledge.named(head, "item") if each != "general-goods"]
    words = head.casefold().removesuffix("s")
    last = [
        each
        for each in found
        if any(words.endswith(n.casefold()) for n in knowledge.names_of(each))
    ]
    return last[0] if len(last) == 1 else ""


def _particulars(
    around: Mapping[str, JsonValue], action: Action, material: Material, knowledge: Knowledge
) -> Particulars:
    sources = (around, material.metadata)
    power = next(
        (float(given) * scale for source in sources for name, scale in POWER
         if (given := number(source.get(name))) is not None),
        None,
    )  # fmt: skip
    words = " ".join(
        str(source[n]) for source in sources for n in ITEMS if isinstance(source.get(n), str)
    )
    for text in (words, action.all_text, material.text):
        told = {match.group() for match in _POWER_TEXT.finditer(text)}
        if power is None and len(told) == 1:
            match = _POWER_TEXT.search(text)
            if match is not None:
                power = float(match[1]) * (1.0 if match[2].lower() == "kw" else 0.7457)
    lease = _one(SUPPLIES, sources, "supply", knowledge) == "lease" or any(
        re.search(r"\b(leas(e|ed|ing)|rental|rented)\b", text, re.I)
        for text in (words, action.all_text, material.title)
    )
    return Particulars(
        numbers={} if power is None else {"power_kw": power},
        words={
            "buyer": _one(BUYERS, sources, "buyer", knowledge),
            "supply": "lease" if lease else "sale",
        },
    )


def _one(
    names: tuple[str, ...],
    sources: Iterable[Mapping[str, JsonValue]],
    kind: str,
    knowledge: Knowledge,
) -> str:
    for source in sources:
        for name in names:
            if isinstance(source.get(name), str):
                text = str(source[name])
                exact = knowledge.named_exactly(text, kind)
                found = {exact} if exact else set(knowledge.named(text, kind))
                if len(found) == 1:
                    return found.pop()
    return ""
