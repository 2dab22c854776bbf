"""A whole answer is found in a skill, encoded, spelled, taken apart or in another order."""

import base64
import gzip
import json
import re

import pytest

from grindstone.skills import find_leaks

ANSWER = {
    "/app/out.json": '{"2031-03-01T09": 8, "2031-03-01T10": 11, "2031-03-01T11": 12, '
    '"2031-03-01T12": 13, "2031-03-01T13": 11, "2031-03-01T14": 8, "2031-03-01T15": 17}'
}
WHOLE = ANSWER["/app/out.json"]
COMMIT = "37a67e411f707327d0e624584af425cb8baefc1d"


def hexdump(data: bytes) -> str:
    rows = (data[at : at + 16] for at in range(0, len(data), 16))
    return "\n".join(f"{16 * at:08x}: {row.hex(' ', 2)}" for at, row in enumerate(rows))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(base64.b64encode(WHOLE.encode()).decode(), id="base64"),
        pytest.param(base64.encodebytes(WHOLE.encode()).decode(), id="base64 in lines"),
        pytest.param(base64.b64encode(gzip.compress(WHOLE.encode())).decode(), id="packed"),
        pytest.param(base64.b64encode(base64.b64encode(WHOLE.encode())).decode(), id="twice"),
        pytest.param(base64.b32encode(WHOLE.encode()).decode(), id="base32"),
        pytest.param(base64.b85encode(WHOLE.encode()).decode(), id="base85"),
        pytest.param(WHOLE.encode().hex(), id="hex"),
        pytest.param(hexdump(WHOLE.encode()), id="hexdump"),
        pytest.param("".join(f"\\x{ord(c):02x}" for c in WHOLE), id="x escapes"),
        pytest.param("".join(f"\\u{ord(c):04x}" for c in WHOLE), id="u escapes"),
        pytest.param("".join(f"\\{ord(c):03o}" for c in WHOLE), id="octal"),
        pytest.param("".join(f"%{ord(c):02X}" for c in WHOLE), id="percent"),
        pytest.param("".join(f"&#{ord(c)};" for c in WHOLE), id="entities"),
        pytest.param(", ".join(str(ord(c)) for c in WHOLE), id="codes"),
        pytest.param(" + ".join(f"chr({ord(c)})" for c in WHOLE), id="chr"),
        pytest.param(" ".join(f"{ord(c):08b}" for c in WHOLE), id="binary"),
        pytest.param(" ".join(f"{ord(c):o}" for c in WHOLE), id="octal codes"),
        pytest.param("".join(f"\\{ord(c):x} " for c in WHOLE), id="css escapes"),
        pytest.param(WHOLE.encode("utf-16-be").hex(), id="hex of wide characters"),
        pytest.param(base64.b64encode(WHOLE.encode("utf-16")).decode(), id="base64 of them"),
        pytest.param(base64.b64encode(WHOLE.encode()).decode()[::-1], id="base64 backwards"),
        pytest.param(WHOLE.encode().hex()[::-1], id="hex backwards"),
        pytest.param(WHOLE[::-1], id="backwards"),
        pytest.param(
            "".join(chr(33 + (ord(c) - 33 + 47) % 94) if c != " " else c for c in WHOLE), id="rot47"
        ),
        pytest.param("\n".join(WHOLE.replace(" ", "")), id="a character a line"),
        pytest.param(".".join(WHOLE), id="dots between"),
        pytest.param(" + ".join(repr(WHOLE[at : at + 3]) for at in range(0, 200, 3)), id="joined"),
        pytest.param(
            "\n".join(f'x="${{x}}{WHOLE[at : at + 4]}"' for at in range(0, 200, 4)), id="shell"
        ),
        pytest.param(re.sub(r"(\w\w)", r"\1<!-- -->", WHOLE), id="comments between"),
        pytest.param(WHOLE.translate({48 + n: 0x660 + n for n in range(10)}), id="arabic digits"),
        pytest.param("".join(chr(0xE0000 + ord(c)) for c in WHOLE), id="tag characters"),
        pytest.param("\u3164".join(WHOLE), id="fillers"),
        pytest.param("Counts from nine on: 8, 11, 12, 13, 11, 8, 17.", id="a column"),
        pytest.param("9h 8, 10h 11, 11h 12, 12h 13, 13h 11, 14h 8, 15h 17", id="by the hour"),
        pytest.param("eight, eleven, twelve, thirteen, eleven, eight, seventeen", id="in words"),
        pytest.param("VIII, XI, XII, XIII, XI, VIII, XVII", id="Roman"),
        pytest.param("4*2, 10+1, 12*1, 20 - 7, 5+6, 2*4, 9+8", id="sums"),
        pytest.param("0x8 0xb 0xc 0xd 0xb 0x8 0x11", id="other bases"),
        pytest.param("800% 1100% 1200% 1300% 1100% 800% 1700%", id="per cent"),
        pytest.param("1930122000: 8", id="epoch"),
    ],
)
def test_an_answer_in_code_or_in_pieces_is_the_answer(text):
    skill_text = f"## Steps\n\n{text}\n"
    leaks = find_leaks(skill_text, test_sources={}, answers=ANSWER)
    assert leaks
    assert all(3 <= leak.line <= skill_text.count("\n") for leak in leaks)


def test_a_hash_that_is_spelled_is_that_hash():
    radio = {"a": "alpha", "b": "bravo", "c": "charlie", "d": "delta", "e": "echo", "f": "foxtrot"}
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    spelled = " ".join(radio.get(c) or digits[int(c)] for c in COMMIT)
    answers = {"/app/.git/refs/heads/rescue": COMMIT}
    assert find_leaks(f"It is {spelled}.", test_sources={}, answers=answers)
    assert not find_leaks("Alpha three, then bravo seven.", test_sources={}, answers=answers)


STOCK = "\n".join(f"K-{7001 + 37 * n},part{'abcdefghij'[n]},{310 + 17 * n}" for n in range(10))


def test_a_table_in_another_order_is_the_same_table():
    rows = [row.split(",") for row in STOCK.split("\n")]
    keys = ("sku", "item", "count")
    answers = {"out.json": json.dumps([dict(zip(keys, row, strict=True)) for row in rows])}
    inputs = {"in.csv": STOCK}
    turned = "\n".join(f"Mind {cell} as it is." for row in rows[::-1] for cell in row[::-1])
    assert find_leaks(turned, test_sources={}, answers=answers, inputs=inputs)
    one = " ".join(rows[0])
    assert not find_leaks(f"A row is {one}.", test_sources={}, answers=answers, inputs=inputs)


@pytest.mark.parametrize(
    "text",
    [
        "The header eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9 is that of a token.",
        "00000000: efbb bf61 2c62 2c63 0d0a 312c 322c 330d",
        "Codes 9, 10, 13, 32, 34, 39, 44, 59, 92, 124 break parsers.",
        "I, II, III, IV, V, VI, VII, VIII, IX, X, XI, XII, XIII",
        "8 9 10 11 12 13 14 15 16 17 18 19 20 are hours; eight to thirteen are busy.",
        "Hours: 0, 2, 4, 6, 8, 10, 12; then 8 * 2 and 11 - 3.",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "&#10;&#13;<b\n>bold</b>",
    ],
)
def test_honest_codes_and_counts_are_no_answer(text):
    answers = {**ANSWER, "/app/.git/refs/heads/rescue": COMMIT}
    assert find_leaks(f"## Steps\n\n{text}\n", test_sources={}, answers=answers) == ()


def test_a_list_made_of_what_the_inputs_state_is_no_secret_word_by_word():
    answers = {
        "kit.txt": "== mast (4 letters) ==\nspruce, 9 m\ncheck 6805\n== rudder ==\ncheck 3344"
    }
    inputs = {"parts.txt": "mast: spruce, 9 m\nrudder: pins"}
    told = "Boats have a mast of spruce and a rudder."
    assert not find_leaks(told, test_sources={}, answers=answers, inputs=inputs)
    assert find_leaks("The mast has 6805.", test_sources={}, answers=answers, inputs=inputs)
    picked = {"best.txt": "spruce"}
    assert find_leaks(told, test_sources={}, answers=picked, inputs=inputs)
