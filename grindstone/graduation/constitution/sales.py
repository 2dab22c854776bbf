"""Sales as an episode states them: rates, taxes, prices and totals found in its fields.

A record is a sale when it states a tax or a rate, or a total beside a subtotal. What stands
around it (place, goods, buyer) holds for what stands inside. Lines of an invoice are read
with it, since the law lets the tax be rounded once per invoice or once per line.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from pydantic import JsonValue

from grindstone.graduation.constitution.reading import Number, number, opened, snaked
from grindstone.untrusted import MAX_DEPTH

_TAX = r"(?:sales_)?(?:tax|hst|gst|pst|qst|rst|tvh|tps|tvp|tvq)"
_RATE = re.compile(rf"^(?:applied_|combined_|total_)?({_TAX})_?(?:rate|percent|percentage|pct)$")
_AMOUNT = re.compile(
    rf"^(?:total_)?({_TAX})(?:_(?:amount|charged|total|due|cad|value|collected))?$"
)
_BASE = (
    "subtotal",
    "sub_total",
    "taxable_amount",
    "amount_before_tax",
    "pre_tax_amount",
    "pre_tax",
    "net_amount",
    "net",
    "price",
    "net_price",
    "base",
    "unit_price",
    "list_price",
)
_TOTAL = (
    "total",
    "grand_total",
    "total_amount",
    "amount_due",
    "total_due",
    "invoice_total",
    "total_with_tax",
    "gross",
    "total_price",
    "total_payable",
)
_LINES = ("lines", "line_items", "items", "positions", "entries")
_LINE_BASE = ("amount", "line_total", "subtotal", "net", "total", "price", "unit_price")
_COUNT = ("quantity", "qty", "count", "units")
_OTHER = (
    "discount",
    "shipping",
    "freight",
    "delivery",
    "tip",
    "deposit",
    "trade_in",
    "fee",
    "surcharge",
)
_NAMES = {"TVH": "HST", "TPS": "GST", "TVQ": "QST", "TVP": "PST", "TAX": "", "SALES_TAX": ""}

_MONEY = r"(?:is|of|=|:|at|\s|CA|CAD|C)*\$?\s?(\d[\d,]*(?:\.\d{1,2})?)(?!\s?(?:%|per\s?cent|\d))"
_WRITTEN: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "subtotal",
        re.compile(rf"\b(?:sub-?total|net price|price before tax|before tax){_MONEY}", re.I),
    ),
    ("price", re.compile(rf"\b(?:price){_MONEY}", re.I)),
    (
        "total",
        re.compile(rf"\b(?:grand total|total due|amount due|(?<!sub)(?<!sub-)total){_MONEY}", re.I),
    ),
    *(
        (tax.lower(), re.compile(rf"\b{tax}(?:\s*\(?\d+(?:\.\d+)?\s?%\)?)?{_MONEY}", re.I))
        for tax in ("HST", "GST", "PST", "QST", "RST")
    ),
    ("tax", re.compile(rf"\b(?:sales )?tax(?:\s*\(?\d+(?:\.\d+)?\s?%\)?)?{_MONEY}", re.I)),
)


class Line(NamedTuple):
    """One line of an invoice."""

    base: Decimal | None
    around: dict[str, JsonValue]


class Sale(NamedTuple):
    """What one record states of a sale."""

    rates: tuple[tuple[str, Decimal], ...]  # tax → rate; "" is the whole sales tax
    amounts: tuple[tuple[str, Decimal], ...]  # tax → money
    base: Decimal | None
    total: Decimal | None
    lines: tuple[Line, ...]
    around: dict[str, JsonValue]  # the plain fields of the record and of those around it
    other: bool  # something else is added or taken off


def sales_in(
    value: JsonValue, around: Mapping[str, JsonValue] | None = None, depth: int = 0
) -> Iterator[Sale]:
    """Yield the sales in a value, whatever depth they stand at."""
    value = opened(value)
    if depth > MAX_DEPTH:
        return
    if isinstance(value, list):
        for each in value:
            yield from sales_in(each, around, depth + 1)
        return
    if not isinstance(value, dict):
        return
    fields = snaked(value)
    if not isinstance(fields, dict):
        return
    fields = _spread(fields)
    plain = {k: v for k, v in fields.items() if isinstance(v, str | int | float)}
    known = {**(around or {}), **plain}
    if not around or not _is_line(plain):
        for name, each in fields.items():
            if isinstance(each, Mapping) and name in {
                "customer",
                "buyer",
                "ship_to",
                "address",
                "shipping_address",
                "seller",
                "product",
                "item",
                "supply",
            }:
                known |= {
                    (
                        k
                        if name in {"customer", "buyer"} and k not in {"name", "type"}
                        else f"{name}_{k}"
                        if k in {"name", "type", "kind"}
                        else k
                    ): v
                    for k, v in each.items()
                    if isinstance(v, str | int | float) and name != "seller"
                }
    sale = _sale(fields, known)
    if sale is not None:
        yield sale
    for each in fields.values():
        if isinstance(opened(each), dict | list):
            yield from sales_in(each, known, depth + 1)


def written_sale(text: str, around: Mapping[str, JsonValue]) -> Sale | None:
    """Return the sale whose prices a text states: "subtotal $100.00, HST $13.00"."""
    found: dict[str, JsonValue] = {}
    for name, pattern in _WRITTEN:
        hits = {match[1] for match in pattern.finditer(text)}
        if len(hits) > 1:
            return None  # several sales in one text are for a reader
        if hits and not (name == "tax" and {"hst", "gst", "pst", "qst"} & set(found)):
            found[name] = next(iter(hits))
    if "subtotal" in found:
        found.pop("price", None)
    if not {"subtotal", "price"} & set(found):
        return None
    return _sale(found, {**around, **found})


def _is_line(plain: Mapping[str, JsonValue]) -> bool:
    return any(name in plain for name in _COUNT)


def _spread(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a record with the taxes it states in a record or list of their own."""
    found = dict(fields)
    for name in ("tax", "taxes", "sales_tax", "tax_breakdown", "tax_lines"):
        inner = found.get(name)
        if isinstance(inner, Mapping):
            found.pop(name)
            for key, each in inner.items():
                if isinstance(each, Mapping):
                    found |= {f"{key}_{k}": v for k, v in each.items()}
                else:
                    found[
                        {
                            "rate": "tax_rate",
                            "percent": "tax_rate",
                            "amount": "tax_amount",
                            "total": "tax_amount",
                            "value": "tax_amount",
                        }.get(key, key)
                    ] = each
        elif isinstance(inner, list) and all(isinstance(each, Mapping) for each in inner):
            found.pop(name)
            for each in inner:
                if isinstance(each, Mapping):
                    called = next(
                        (
                            str(each[k])
                            for k in ("name", "type", "tax", "code", "kind")
                            if k in each
                        ),
                        "tax",
                    )
                    key = called.split()[0].lower() if called else "tax"
                    found |= {
                        f"{key}_{k}": v
                        for k, v in each.items()
                        if k in {"rate", "percent", "amount"}
                    }
    return found


def _sale(fields: Mapping[str, JsonValue], known: Mapping[str, JsonValue]) -> Sale | None:
    rates: list[tuple[str, Decimal]] = []
    amounts: list[tuple[str, Decimal]] = []
    for name, value in fields.items():
        given = number(value)
        if given is None:
            continue
        rate, amount = _RATE.match(name), _AMOUNT.match(name)
        if rate is not None:
            rates.append((_tax(rate[1]), _share(given)))
        elif amount is not None and given.percent:
            rates.append((_tax(amount[1]), _share(given)))
        elif amount is not None:
            amounts.append((_tax(amount[1]), Decimal(given)))
    lines = _lines(fields, known)
    base, total = _first(fields, _BASE), _first(fields, _TOTAL)
    count = _first(fields, _COUNT)
    if base is not None and count is not None and not any(n in fields for n in _BASE[:6]):
        base *= count
    bare = number(fields.get("rate"))
    if bare is not None and not rates and (amounts or base is not None or _names_place(known)):
        rates.append(("", _share(bare)))
    if base is None and lines and all(line.base is not None for line in lines):
        base = sum((line.base or Decimal(0) for line in lines), Decimal(0))
    if base is None:
        total = None
    if not rates and not amounts and (total is None or base == total):
        return None
    return Sale(
        rates=tuple(rates),
        amounts=tuple(amounts),
        base=base,
        total=total,
        lines=lines,
        around=dict(known),
        other=any(re.search(rf"(^|_){word}", name) for word in _OTHER for name in fields),
    )


def _names_place(known: Mapping[str, JsonValue]) -> bool:
    return any(name in known for name in ("jurisdiction", "province", "place"))


def _lines(fields: Mapping[str, JsonValue], known: Mapping[str, JsonValue]) -> tuple[Line, ...]:
    for name in _LINES:
        found = opened(fields.get(name))
        if isinstance(found, list) and found and all(isinstance(each, Mapping) for each in found):
            return tuple(_line(each, known) for each in found if isinstance(each, dict))
    return ()


def _line(fields: Mapping[str, JsonValue], known: Mapping[str, JsonValue]) -> Line:
    base = _first(fields, _LINE_BASE)
    count = _first(fields, _COUNT)
    if base is not None and count is not None and not any(n in fields for n in _LINE_BASE[:5]):
        base *= count
    plain = {k: v for k, v in fields.items() if isinstance(v, str | int | float)}
    return Line(
        base,
        {**{k: v for k, v in known.items() if k not in ("item", "item_kind", "goods")}, **plain},
    )


def _first(fields: Mapping[str, JsonValue], names: tuple[str, ...]) -> Decimal | None:
    return next((Decimal(n) for name in names if (n := number(fields.get(name))) is not None), None)


def _tax(name: str) -> str:
    upper = name.removeprefix("sales_").upper()
    return _NAMES.get(upper, upper)


def _share(given: Number) -> Decimal:
    return Decimal(given) / 100 if given.percent or abs(given) >= 1 else Decimal(given)
