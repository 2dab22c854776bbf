"""Numbers and letters that are spelled, in plain digits and letters.

English number words and ordinals, Roman numerals, the names of letters that radio uses,
other bases and exponents, per cent and the like, and sums that are written out.
"""

import ast
import operator
import re
from functools import lru_cache

_ONES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen
"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = """
    zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
    thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth
"""
_SMALL = {
    **{word: value for value, word in enumerate(_ONES.split())},
    **{word: value for value, word in enumerate(_ORDINALS.split())},
    **{word: 20 + 10 * place for place, word in enumerate(_TENS.split())},
    **{word[:-1] + "ieth": 20 + 10 * place for place, word in enumerate(_TENS.split())},
}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_RADIO = """
    alpha alfa bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike
    november oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu
"""
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_SCALES = {
    **dict.fromkeys(("%", "percent", "per cent", "hundredths", "cents", "pence"), 0.01),
    **dict.fromkeys(("thousandths", "permille", "‰"), 0.001),
    **dict.fromkeys(("k", "K", "thousand"), 1e3),
    **dict.fromkeys(("M", "million"), 1e6),
}

_WORD = "|".join(sorted((*_SMALL, *_LARGE), key=len, reverse=True))
_NUMBER_WORDS = re.compile(
    rf"(?<![^\W_])(?:{_WORD})(?:(?:[ -]|,? and | point )(?:{_WORD})(?![^\W_]))*(?![^\W_])", re.I
)
_RADIO_WORDS = re.compile(rf"(?<![^\W_])(?:{'|'.join(_RADIO.split())})(?![^\W_])", re.I)
_ROMAN_NUMBER = re.compile(
    r"(?<![^\W_T])(?=[MDCLXVI])M{0,4}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![^\W_])"
)
_BASED = re.compile(r"0x[0-9a-fA-F]+|0b[01]+|0o[0-7]+")
_EXPONENT = re.compile(r"(?<![\d.])\d{1,20}(?:\.\d{1,20})?[eE][+-]?\d{1,2}(?!\w)")
_SCALED = re.compile(
    rf"(?<![\w.])(\d+(?:\.\d+)?) ?({'|'.join(re.escape(word) for word in _SCALES)})(?![^\W_])"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]?(?=\d))?")
_TERM = r"\(?-?\d{1,15}(?:\.\d{1,15})?\)?"
_SUM = re.compile(rf"(?<![\d.]){_TERM}(?:\s?[-+*/]\s?{_TERM}){{1,6}}")
_TALLY = re.compile(r"(?<![|\w])\|{2,40}(?![|\w])")
_CAST = re.compile(r"\b(?:int|float|str)\(")
_QUOTES = re.compile(r"[\"']\s*\+?\s*[\"']")
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@lru_cache(maxsize=20_000)
def counted(line: str) -> str:
    """Return a line with what it spells or sums up written in digits and letters."""
    line = _CAST.sub(" ", _QUOTES.sub("", line))
    line = _NUMBER_WORDS.sub(_of_words, line)
    line = _RADIO_WORDS.sub(lambda word: word.group()[0], line)
    line = _ROMAN_NUMBER.sub(_of_roman, line)
    line = _TALLY.sub(lambda marks: str(len(marks.group())), line)
    line = _BASED.sub(lambda number: str(int(number.group(), 0)), line)
    line = _EXPONENT.sub(lambda number: _shown(float(number.group())), line)
    line = _SCALED.sub(lambda n: _shown(float(n[1]) * _SCALES[n[2]]), line)
    if not re.search(r"\d\)?\s?[-+*/]\s?\(?-?\d", line):
        return line
    found, at = [], 0
    for date in [*_DATE.finditer(line), None]:
        end = date.start() if date else len(line)
        found += [_SUM.sub(_of_sum, line[at:end]), date.group() if date else ""]
        at = date.end() if date else end
    return "".join(found)


def _of_words(found: re.Match[str]) -> str:
    whole, point, decimals = found.group().lower().replace("-", " ").partition(" point ")
    numbers: list[int] = []
    last = 0  # the size of the word before: a smaller one may be added to it
    for word in re.findall(r"[a-z]+", whole):
        if word in _LARGE:
            size = _LARGE[word]
            if numbers and size > 100 and numbers[-1] >= 10**6:
                numbers[-1] += (numbers[-1] % 10**6 or 1) * (size - 1)
            elif numbers and size == 100 and numbers[-1] > 1000:
                numbers[-1] += (numbers[-1] % 100) * (size - 1)
            elif numbers:
                numbers[-1] *= size
            else:
                numbers.append(size)
            last = size
        elif word in _SMALL:
            value = _SMALL[word]
            joins = numbers and (last >= 100 or (20 <= last < 100 and 0 < value < 10))
            if joins:
                numbers[-1] += value
            else:
                numbers.append(value)
            last = value
    text = " ".join(map(str, numbers))
    if point:
        text += "." + "".join(str(_SMALL.get(word, "")) for word in decimals.split())
    return f" {text} "


def _of_roman(found: re.Match[str]) -> str:
    values = [_ROMAN[letter] for letter in found.group()]
    following = [*values[1:], 0]
    return str(sum(-v if v < after else v for v, after in zip(values, following, strict=True)))


def _of_sum(found: re.Match[str]) -> str:
    try:
        return _shown(_value(ast.parse(found.group(), mode="eval").body))
    except (SyntaxError, ValueError, ArithmeticError, RecursionError):
        return found.group()


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return float(_OPERATORS[type(op)](_value(left), _value(right)))
    raise ValueError("no sum")


def _shown(number: float) -> str:
    return f"{number:.12g}" if abs(number) < 1e12 else str(number)
