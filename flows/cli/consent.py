"""Money, before a run: what it is expected to cost, and a person's word on it."""

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from grindstone.errors import InputError, RefusedError
from grindstone.flows.cli.output import emit, say
from grindstone.ledger import Ledger
from grindstone.llm.prices import PriceList
from grindstone.settings import RunSettings
from grindstone.spending import MODELS, ceiling_sentence, expect, real_models, with_ceiling

S = TypeVar("S", bound=RunSettings)

EstimateFlag = Annotated[
    bool,
    typer.Option(
        "--estimate",
        help="Say what the run is expected to cost, and stop. Where no run of the model was made "
        "here, its tasks are rehearsed first; no key is needed.",
    ),
]
WITHOUT_SOLVER = frozenset({"review", "graduate"})
"""Runs in which the judge alone is paid."""


def agreed(kind: str, settings: S, environ: Mapping[str, str]) -> S:
    """Return settings with a ceiling that somebody agreed to, or with the default one.

    Raises:
        RefusedError: A person at the terminal does not want the run.
    """
    if settings.max_cost_usd is not None or settings.max_tokens_total is not None:
        return settings
    paid = settings
    if kind in WITHOUT_SOLVER:
        paid = settings.model_copy(update={"model_id": "rehearsal"})
    real = real_models(paid, environ)
    if not real:
        return settings
    own = PriceList.of_environment(environ)
    ledger = Ledger(settings.work_dir.absolute())
    say(f"Expected: {expect(settings, real[0], ledger, own).sentence}")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        settings = with_ceiling(settings, environ)
        say(f"No ceiling was given. {ceiling_sentence(settings)}")
        return settings
    return settings.model_copy(update={"max_cost_usd": _asked()})


def _asked() -> float:
    while True:
        sys.stderr.write(
            "No ceiling was given. A ceiling in dollars, `yes` for none, or Enter to stop: "
        )
        sys.stderr.flush()
        answer = sys.stdin.readline().strip().lower().removeprefix("$")
        if answer in {"", "n", "no"}:
            raise RefusedError("not started: nobody agreed to what it costs")
        if answer in {"y", "yes"}:
            return math.inf
        try:
            ceiling = float(answer)
        except ValueError:
            continue
        if ceiling > 0:
            return ceiling


def estimate(
    settings: S,
    environ: Mapping[str, str],
    rehearse: Callable[[S], object],
    *,
    as_json: bool,
) -> None:
    """Print what a run is expected to cost.

    Args:
        settings: Of the run.
        environ: Where it is seen which model `auto` means; see `with_a_key`.
        rehearse: Runs the flow, by the settings it is given, in a home that is thrown away.
        as_json: Whether a document is wanted.

    Raises:
        InputError: The run would be a rehearsal, which costs nothing.
    """
    real = real_models(settings, environ)
    if not real:
        expected = "the id of a model that costs something"
        raise InputError("model_id", f"{settings.model_id!r} costs nothing", expected)
    home, own = settings.work_dir.absolute(), PriceList.of_environment(environ)
    found = expect(settings, real[0], Ledger(home), own)
    if not found.of_past_runs:
        say(f"No run of {found.model} was made here: rehearsing the tasks first.")
        with tempfile.TemporaryDirectory(prefix="grindstone-estimate-") as folder:
            agent = Path("agents") / settings.agent_id
            if (home / agent).is_dir():
                shutil.copytree(home / agent, Path(folder) / agent, symlinks=True)
            stand_in = dict.fromkeys(
                [name for name in MODELS if getattr(settings, name, None) is not None], "rehearsal"
            )
            played = stand_in | {"work_dir": Path(folder), "run_key": None}
            rehearse(settings.model_copy(update=played))
            found = expect(settings, real[0], Ledger(Path(folder)), own)
    emit(found, as_json=as_json, text=found.sentence)


def with_a_key(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which every model can be named: an estimate calls none."""
    return {"ANTHROPIC_API_KEY": "none", **environ}
