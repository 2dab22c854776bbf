"""Comparing texts by the stems of their content words."""

import re

_WORD = re.compile(r"[a-z][a-z0-9]+")
_COMMON_WORDS = (
    "about after again agent also answer anything before being below between both call called "
    "can content could data done each else every exactly file files first folder for format "
    "from give given have into instead it its keep last leave line lines list make more must "
    "name named need needs new not nothing once only other output path place put read result "
    "same should skill some step steps still such task tasks test than that the their them "
    "then there these they this those under until use used uses using value values want when "
    "where which while will with without work works write written you your and are but has "
    "was were all any how that's each one two three set see get got run runs running way "
)
_COMMON = frozenset(_COMMON_WORDS.split())


def stem(word: str) -> str:
    """Return the word without the commonest English endings."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ers", "er", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word.rstrip("e")


def stems(text: str) -> frozenset[str]:
    """Return the stems of the words that say what a text is about."""
    spaced = re.sub(r"[-_/.]", " ", text.lower())
    return frozenset(
        stem(word) for word in _WORD.findall(spaced) if len(word) > 2 and word not in _COMMON
    )
