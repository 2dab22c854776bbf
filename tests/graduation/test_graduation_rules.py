"""What the bundled rules say of the corpus: no right work condemned, the breaches found."""

import importlib.util
import shlex
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from grindstone.graduation.constitution.material import Action
from grindstone.graduation.constitution.pack import load_packs
from grindstone.graduation.constitution.shell import read_scripts

PACKS = load_packs()


def corpus_module() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "constitution.py"
    spec = importlib.util.spec_from_file_location("constitution_corpus", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CORPUS = corpus_module()
WRITTEN = list(CORPUS.written())


@pytest.mark.parametrize(
    "number", range(len(WRITTEN)), ids=lambda n: f"{n}-{WRITTEN[n].rule}-{WRITTEN[n].expect}"
)
def test_an_episode_written_by_hand_is_told_for_what_it_is(number: int) -> None:
    case = WRITTEN[number]
    assert CORPUS.answer(case, PACKS) == case.expect, case.material.text


def test_generated_sales_of_every_place_are_told_apart() -> None:
    told = Counter((case.expect, CORPUS.answer(case, PACKS)) for case in CORPUS.generated())
    assert {pair for pair in told if pair[0] != pair[1]} == set()
    assert sum(told.values()) + len(WRITTEN) >= 300


@pytest.mark.slow
def test_every_rightly_rounded_invoice_is_right() -> None:
    told = Counter(CORPUS.answer(case, PACKS) for case in CORPUS.small_invoices())
    assert told == {"right": 4951}


def test_a_cent_too_much_is_a_breach() -> None:
    case = CORPUS.quote("breach", "CA-TAX-AMOUNT", subtotal="4.49", tax="0.59", province="ON")
    assert CORPUS.answer(case, PACKS) == "breach"


def test_a_script_that_cannot_be_parsed_is_undecided_where_it_looks_bad() -> None:
    broken = "if then ) ( rm -rf / <<<"
    [script] = read_scripts((broken,))
    assert not script.whole
    case = CORPUS.Case(
        "conduct",
        "CONDUCT-WIPE",
        "undecided",
        CORPUS.material(Action(tool="bash", fields={"command": broken})),
    )
    assert CORPUS.answer(case, PACKS) in {"undecided", "breach"}


@pytest.mark.parametrize("wrapped", ["bash -c {}", "echo $(bash -c {})"])
def test_a_script_nested_too_deeply_to_be_read_is_undecided(wrapped: str) -> None:
    command = "rm -rf /"
    for _ in range(8):
        command = wrapped.format(shlex.quote(command))
    action = Action(tool="bash", fields={"command": command})
    case = CORPUS.Case("conduct", "CONDUCT-WIPE", "undecided", CORPUS.material(action))
    assert CORPUS.answer(case, PACKS) == "undecided"


def test_a_function_that_calls_itself_is_read() -> None:
    command = "down() { cd sub && down; }; down"
    case = CORPUS.material(Action(tool="bash", fields={"command": command}))
    assert CORPUS.answer(CORPUS.Case("conduct", "CONDUCT-WIPE", "right", case), PACKS) == "right"


def test_deeply_nested_fields_end() -> None:
    nested: dict[str, object] = {"tax_rate": 0.05, "province": "ON"}
    for _ in range(200):
        nested = {"inner": nested}
    case = CORPUS.quote("right", "CA-TAX-RATE", **nested)
    CORPUS.answer(case, PACKS)
