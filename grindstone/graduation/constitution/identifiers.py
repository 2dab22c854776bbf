"""Identifiers of people in text: what is one for certain, and what only a reader could tell.

Social security numbers are checked by python-stdnum, telephone numbers by phonenumbers. A
telephone number or an address belongs to a patient only where the sentence says so: a
clinic's own is none of the identifiers of 45 CFR 164.514(b)(2)(i). Names need more than a
pattern: one beside a street address and a condition is certain, one alone is not decided.
"""

import re
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Literal, NamedTuple

Kind = Literal["ssn", "mrn", "contact", "birth", "name"]

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n{2,}")
_SSN = re.compile(r"(?<![\d-])(\d{3})([- .]?)(\d{2})\2(\d{4})(?![\d-])")
_SSN_WORD = re.compile(r"\bSSN\b|social[ -]security", re.I)
_NEAR = 60
_MRN = re.compile(
    r"\b(MRN|medical record (number|no\.?|#)|chart (number|no\.?)|patient (id|number|no\.?))"
    r"(\s+(is|was|of))?\s*[:#=]*\s*\"?([A-Z]{0,3}-?\d{5,})",
    re.I,
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_BIRTH = re.compile(
    r"\b(DOB|D\.O\.B\.?|date[ _]of[ _]birth|birth ?date|born|b\.)(?!\w)"
    r"\s*(is|was|:|=|\"|,)*\s*(on\s+)?"
    rf"\"?(\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}|{_MONTH}\s+\d{{1,2}}(st|nd|rd|th)?,? \d{{4}}|"
    rf"\d{{1,2}} {_MONTH},? \d{{4}})",
    re.I,
)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}\b", re.I)
_PATIENT = re.compile(
    r"\b(patient|his|her|their|client|mr|mrs|ms|mother|father|wife|husband|daughter|son)\b", re.I
)
_HOUSE = re.compile(
    r"\b(clinic|office|hospital|pharmacy|front desk|reception|department|ward|laboratory|lab|"
    r"call us|reach us|contact us|our|hotline|helpline|hours|insurer|support|help desk|fax us)\b",
    re.I,
)
_NAME = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Dr)?\.?\s*([A-Z][a-z'\u2019-]+)\s+(?:[A-Z]\.\s+)?([A-Z][a-z'\u2019-]+)\b"
)
_PATIENT_NAME = re.compile(r"\b[Pp]atient(?:'s name)?(?: is| named|:)?\s+" + _NAME.pattern)
_STREET = re.compile(
    r"\b\d{1,5}\s+([NSEW]\.?\s+)?[A-Z][\w'\u2019-]*(\s[A-Z][\w'\u2019-]*)?\s"
    r"(St|Street|Ave|Avenue|Rd|Road|Blvd|Dr|Drive|Ln|Lane|Ct|Court|Way|Pl|Place)\b"
)
_CONDITION = re.compile(
    r"\b(HIV|AIDS|cancer|diabet\w+|hepatitis|depress\w+|schizophreni\w+|asthma|hypertension|"
    r"tumou?r|pregnan\w+|epilep\w+|dementia|diagnos\w+|treated for|suffers? from|prescri\w+|"
    r"tested positive|overdose|addict\w+|COPD|stroke)\b",
    re.I,
)
_NO_NAME = frozenset(
    [
        "Health",
        "Care",
        "Safety",
        "Portal",
        "Education",
        "Information",
        "Services",
        "Service",
        "Intake",
        "Summary",
        "Record",
        "Records",
        "Questionnaire",
        "Privacy",
        "Rights",
        "Experience",
        "Access",
        "Note",
        "Notes",
        "Chart",
        "Report",
        "Status",
        "History",
        "Form",
        "Consent",
        "Plan",
        "Advocate",
        "Relations",
        "Bill",
        "Admission",
        "Discharge",
        "The",
        "This",
        "Is",
        "Has",
        "Was",
        "Visit",
        "Data",
    ]
)


class Identifier(NamedTuple):
    """One identifier found."""

    text: str
    certain: bool


def identifiers(text: str, kind: Kind) -> list[Identifier]:
    """Return the identifiers of a kind in a text, those that only may be one among them."""
    return list(_FINDERS[kind](text))


def _ssns(text: str) -> Iterator[Identifier]:
    from stdnum.us import ssn

    for found in _SSN.finditer(text):
        if not ssn.is_valid(f"{found[1]}-{found[3]}-{found[4]}"):
            continue
        named = _SSN_WORD.search(text[max(0, found.start() - _NEAR) : found.end() + 20])
        if named or found[2] == "-":
            yield Identifier(found[0], certain=True)
        elif found[2] == " ":
            yield Identifier(found[0], certain=False)


def _mrns(text: str) -> Iterator[Identifier]:
    for found in _MRN.finditer(text):
        yield Identifier(found[0], certain=True)


def _births(text: str) -> Iterator[Identifier]:
    for found in _BIRTH.finditer(text):
        yield Identifier(found[0], certain=True)


def _contacts(text: str) -> Iterator[Identifier]:
    import phonenumbers

    for sentence in _SENTENCE.split(text):
        written = [match.group() for match in _MAIL.finditer(sentence)]
        if re.search(r"\d{3}\D{0,3}\d{4}", sentence):
            lenient = phonenumbers.Leniency.POSSIBLE
            found = phonenumbers.PhoneNumberMatcher(sentence, "US", leniency=lenient)
            written += [
                match.raw_string for match in found if re.search(r"\D", match.raw_string.strip())
                and not _SSN.fullmatch(match.raw_string.strip())
                and not re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", match.raw_string.strip())
            ]  # fmt: skip
        patient, house = _PATIENT.search(sentence), _HOUSE.search(sentence)
        for each in written:
            if not house or patient:
                yield Identifier(each, certain=bool(patient and not house))


def _names(text: str) -> Iterator[Identifier]:
    for sentence in _SENTENCE.split(text):
        told_on = _CONDITION.search(sentence) and _STREET.search(sentence)
        for found in _NAME.finditer(sentence) if told_on else ():
            if not ({found[1], found[2]} & _NO_NAME or _STREET.search(found[0])):
                yield Identifier(found[0].strip(), certain=True)
                break
        patient = _PATIENT_NAME.search(sentence)
        if patient and not {patient[1], patient[2]} & _NO_NAME:
            yield Identifier(patient[0], certain=False)


_FINDERS: MappingProxyType[Kind, Callable[[str], Iterator[Identifier]]] = MappingProxyType(
    {"ssn": _ssns, "mrn": _mrns, "contact": _contacts, "birth": _births, "name": _names}
)
