"""How weights of pairs and words of domains are written in a setting."""

from collections.abc import Sequence

from grindstone.errors import InputError


def dependency_of(written: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return weights by pair, from their spelling `one:other=0.4`.

    Raises:
        InputError: One is spelled otherwise.
    """
    found: dict[tuple[str, str], float] = {}
    for text in written:
        pair, equals, weight = text.rpartition("=")
        one, colon, other = pair.partition(":")
        try:
            value = float(weight)
        except ValueError:
            value = float("nan")
        if not equals or not colon or value != value:  # noqa: PLR0124 - NaN alone differs
            raise InputError("dependency", f"cannot read {text!r}", "sql:python=0.4")
        found[one.strip(), other.strip()] = value
    return found


def keywords_of(written: Sequence[str]) -> dict[str, list[str]]:
    """Return words by domain, from their spelling `sql=select,join`.

    Raises:
        InputError: One is spelled otherwise.
    """
    found: dict[str, list[str]] = {}
    for text in written:
        domain, equals, words = text.partition("=")
        if not equals or not domain.strip() or not words.strip():
            raise InputError("keywords", f"cannot read {text!r}", "sql=select,join")
        found.setdefault(domain.strip(), []).extend(word.strip() for word in words.split(","))
    return found
