"""What the engine accepts: finite numbers on the scale, domains named once."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from numbers import Real

from grindstone.errors import InputError

MOST_DOMAINS = 5_000
"""The weights are kept as a matrix: at this number it is 200 MB."""

LARGEST_BASE = 1e9
SMALLEST_BASE = 1e-6

Domains = Mapping[str, float | None] | Iterable[tuple[str, float | None]]


def number(where: str, value: object, *, low: float, high: float) -> float:
    """Return a finite number within [low, high].

    Raises:
        InputError: It is none; NaN, infinities and truth values are none.
    """
    expected = f"a number from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, (float, int, Real)):
        raise InputError(where, f"is {value!r}", expected)
    found = float(value)
    if not low <= found <= high:  # NaN is within nothing
        raise InputError(where, f"is {found:g}", expected)
    return found


def check_base(base: object) -> float:
    """Return the scale's upper end."""
    return number("base", base, low=SMALLEST_BASE, high=LARGEST_BASE)


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the domains' names in their order.

    Raises:
        InputError: None is given, one is empty, or two differ in case or spaces only.
    """
    found = tuple(names)
    if not found:
        raise InputError("domains", "none is given", "at least one")
    if len(found) > MOST_DOMAINS:
        raise InputError("domains", f"are {len(found)}", f"at most {MOST_DOMAINS}")
    for name in found:
        if not isinstance(name, str) or not name or name.isspace():
            raise InputError("domains", f"one is named {name!r}", "a text that is not empty")
    counts = Counter(map(folded, found))
    if len(counts) < len(found):
        twice = [name for name in found if counts[folded(name)] > 1]
        raise InputError("domains", f"the same one twice: {', '.join(twice)}", "each once")
    return found


def check_domains(domains: Domains, base: float) -> dict[str, float | None]:
    """Return each domain's competency; None stands for unknown.

    Raises:
        InputError: A name or a value is unusable; the message names the domain.
    """
    pairs = list(domains.items() if isinstance(domains, Mapping) else domains)
    names = check_names(name for name, _ in pairs)
    values: list[float | None] = []
    for name, value in pairs:
        # What is plainly right is not asked twice: there may be thousands.
        plain = value is None or (type(value) is float and 0.0 <= value <= base)
        kept = value if plain else number(f"domains[{name!r}]", value, low=0.0, high=base)
        values.append(kept)
    return dict(zip(names, values, strict=True))


def folded(name: str) -> str:
    """Return a domain's name as it is compared: case, spaces and composition say nothing."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()
