"""What a run is expected to cost, and the ceiling that stands where nobody set one."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from pydantic import Field, NonNegativeInt

from grindstone.base import Frozen
from grindstone.errors import BudgetExceededError
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.llm.budget import SpendMeter
from grindstone.llm.calls import CallRecord
from grindstone.llm.prices import NO_PRICES, PriceList, is_priced, price_of
from grindstone.llm.providers import Resolved, resolve_model_id
from grindstone.records import Episode, Usage
from grindstone.runs.plan import choose_tasks
from grindstone.settings import (
    AdaptiveSettings,
    CalibrateSettings,
    CompareSettings,
    CompetencySettings,
    GateSettings,
    GraduationSettings,
    GrindSettings,
    ReleaseSettings,
    RouteSettings,
    RunSettings,
    SearchOptions,
    SuccessMode,
    WarrantSettings,
)

S = TypeVar("S", bound=RunSettings)

DEFAULT_USD = 10.0
"""The ceiling of a run with a real model, where nobody gave another."""

DEFAULT_TOKENS = 2_000_000
"""The same where no price is known: about what the dollars buy of a dear model's input."""

MODELS = ("model_id", "evolver_model_id", "judge_model_id", "strong_model_id")
"""Settings that name a model."""

TYPICAL = Usage(
    input_tokens=1_400, output_tokens=1_600, cache_read_tokens=23_800, cache_write_tokens=6_800
)
"""Tokens an attempt at a bundled task took in a rehearsal, learning included."""


def real_models(settings: RunSettings, environ: Mapping[str, str]) -> tuple[Resolved, ...]:
    """Return the models that cost money in a run, the solver's first."""
    found: dict[str, Resolved] = {}
    for name in MODELS:
        choice = getattr(settings, name, None)
        stands_in = name == "model_id" and not settings.native_profile.aided
        if choice is None or stands_in:
            continue
        resolved = resolve_model_id(choice, environ)
        if not resolved.rehearsal:
            found.setdefault(resolved.model_id, resolved)
    return tuple(found.values())


def with_ceiling(settings: S, environ: Mapping[str, str]) -> S:
    """Return settings with the ceiling that stands where none is given.

    A rehearsal costs nothing and has none. `max_cost_usd` infinity is a ceiling that was given:
    somebody's word that there be none.
    """
    if settings.max_cost_usd is not None or settings.max_tokens_total is not None:
        return settings
    real = real_models(settings, environ)
    if not real:
        return settings
    own = PriceList.of_environment(environ)
    if all(is_priced(model, own) for model in real):
        return settings.model_copy(update={"max_cost_usd": DEFAULT_USD})
    return settings.model_copy(update={"max_tokens_total": DEFAULT_TOKENS})


def ceiling_sentence(settings: RunSettings) -> str:
    """Return which ceiling a run has."""
    if settings.max_cost_usd is not None and math.isfinite(settings.max_cost_usd):
        return (
            f"The run stops before it spends over ${settings.max_cost_usd:.2f}; "
            "max_cost_usd sets another ceiling."
        )
    if settings.max_tokens_total is not None:
        return (
            f"The run stops before it uses over {settings.max_tokens_total:,} tokens; "
            "max_tokens_total sets another ceiling."
        )
    return "The run has no ceiling on what it spends."


def left_after(settings: S, ledger: Ledger, run_keys: Iterable[str]) -> S:
    """Return settings with the ceilings that are left when some runs are paid for by the same.

    Args:
        settings: With the ceilings of all.
        ledger: Where the calls of the runs are.
        run_keys: The runs.

    Raises:
        BudgetExceededError: Nothing is left.
    """
    meter = SpendMeter()
    for run_key in run_keys:
        for call in ledger.rows(CallRecord, run_key):
            meter.seed(call)
    spent = meter.spent()
    used = {
        "max_cost_usd": spent.cost_usd or 0.0,
        "max_tokens_total": (spent.usage + spent.lost).total_tokens,
    }
    left = {}
    for name, gone in used.items():
        ceiling = getattr(settings, name)
        left[name] = None if ceiling is None else ceiling - gone
        if ceiling is not None and ceiling <= gone:
            told = f"{name} {ceiling:,} is used up by what this command ran before"
            raise BudgetExceededError(told, ceiling=name, limit=ceiling)
    return settings.model_copy(update=left)


class Expectation(Frozen):
    """What a run is likely to cost."""

    model: str
    fewest_attempts: NonNegativeInt
    most_attempts: NonNegativeInt
    per_attempt_usd: float | None = Field(description="Learning included. None: price unknown.")
    basis: str = Field(description="What the price of an attempt was taken from.")
    of_past_runs: bool = Field(description="Whether that was runs of the model itself.")

    @property
    def sentence(self) -> str:
        """The expectation in words."""
        few, most = self.fewest_attempts, self.most_attempts
        attempts = f"{few} to {_number(most)}" if few != most else _number(few)
        if self.per_attempt_usd is None:
            return f"{self.model}: {attempts}; what they cost is unknown: {self.basis}."
        low, high = (number * self.per_attempt_usd for number in (few, most))
        cost = f"${low:.2f} to ${high:.2f}" if few != most else f"${low:.2f}"
        return (
            f"{self.model}: {attempts} at about ${self.per_attempt_usd:.3f} each, {cost} in all "
            f"({self.basis})."
        )


def expect(
    settings: RunSettings, model: Resolved, ledger: Ledger, own: PriceList = NO_PRICES
) -> Expectation:
    """Return what a run is likely to cost.

    The price of an attempt is that of past runs of the model in this ledger, all their calls
    shared out over their attempts; else that of its rehearsals, their tokens at the model's
    prices; else of rehearsals of the bundled tasks.

    Args:
        settings: Of the run.
        model: The one that costs something.
        ledger: Of past runs.
        own: Prices that go before the tables'.
    """
    few, most = attempts_of(settings)
    paid, basis, past = _per_attempt(model, ledger, own)
    return Expectation(
        model=model.model_id,
        fewest_attempts=few,
        most_attempts=most,
        per_attempt_usd=paid,
        basis=basis,
        of_past_runs=past,
    )


def attempts_of(settings: RunSettings) -> tuple[int, int]:
    """Return the fewest and the most attempts a run may make."""
    if isinstance(settings, RouteSettings):
        return 1, 1
    if isinstance(settings, GraduationSettings):
        return 1, max(1, len(settings.cases))
    n = len(choose_tasks(settings)[0])
    few = most = n
    match settings:
        case GrindSettings():
            parts = _parts(settings, n)
            besides = settings.impossible
            besides += 2 * settings.trials * (parts.train + parts.held) if settings.compare else 0
            batches = math.ceil(parts.train / settings.batch_size)
            changes = batches * settings.max_cycles * (1 + settings.distill)
            changes += batches * (settings.success_mode is SuccessMode.GATED_PROMOTION)
            few = parts.train + besides
            most = parts.train * settings.max_cycles + besides
            most += _weighing(settings, changes, parts.held)
        case AdaptiveSettings():
            parts = _parts(settings, n)
            each, besides = min(settings.batch_size, parts.train), settings.impossible
            few = each * min(settings.max_cycles, settings.egl_window) + besides
            most = each * settings.max_cycles + besides
            most += _weighing(settings, settings.max_cycles, parts.held)
        case WarrantSettings():
            few, most = 0, settings.max_attempts
        case CalibrateSettings():
            few = most = 4 * settings.repeats * settings.gate_trials * _held(settings, n)
        case GateSettings():
            most = 2 * settings.gate_trials * _held(settings, n)
            few = most // 2 if settings.gate_early_stop else most
        case CompareSettings() | ReleaseSettings():
            few = most = 2 * settings.trials * n
        case CompetencySettings():
            job = n * (2 * settings.trials + settings.max_cycles)
            few, most = 0, n * settings.trials + settings.max_jobs * job
    return few, most


class _Parts(NamedTuple):
    train: int
    held: int


def _parts(settings: GrindSettings | AdaptiveSettings, n: int) -> _Parts:
    """Return how many of n tasks teach, and how many weigh changes; the sealed ones do neither."""
    ratio = settings.holdout_ratio
    held = max(1, round(n * ratio)) if ratio and n > 1 else 0
    return _Parts(max(0, n - held - round(n * settings.sealed_ratio)), held)


def _weighing(settings: SearchOptions, changes: int, held: int) -> int:
    """Return how many attempts weigh that many changes at most, second looks included."""
    looks = settings.gate_second_looks if settings.gate_rule == "higher" else 0
    return 2 * settings.gate_trials * held * (changes + min(looks, changes))


def _held(settings: GateSettings, n: int) -> int:
    return n if settings.holdout_ratio is None else max(1, round(n * settings.holdout_ratio))


def _number(attempts: int) -> str:
    return f"{attempts} attempt{'s' * (attempts != 1)}"


class _Known(NamedTuple):
    usd: float | None
    basis: str
    past: bool


def _per_attempt(model: Resolved, ledger: Ledger, own: PriceList) -> _Known:
    """Return US dollars per attempt, and where that is known from."""
    rows = ledger.rows(RunRow)
    past = {row.run_key for row in rows if row.model == model.model_id and not row.rehearsal}
    calls = [call for call in ledger.rows(CallRecord) if call.run_key in past]
    attempts = sum(row.run_key in past for row in ledger.rows(Episode)) if past else 0
    if attempts and calls and all(call.cost_usd is not None for call in calls):
        paid = sum(call.cost_usd or 0.0 for call in calls) / attempts
        return _Known(paid, f"as {_number(attempts)} of past runs here", past=True)
    played = {row.run_key for row in rows if row.rehearsal}
    attempts = sum(row.run_key in played for row in ledger.rows(Episode)) if played else 0
    usage, basis = (
        TYPICAL,
        "as attempts at the bundled tasks in rehearsals, whose tokens are priced",
    )
    if attempts:
        used = Usage()
        for call in ledger.rows(CallRecord):
            if call.run_key in played:
                used = used + call.usage
        usage = Usage(**{name: value // attempts for name, value in used.model_dump().items()})
        basis = f"as {_number(attempts)} of rehearsals here, whose tokens are priced"
    paid_usd = price_of(model, usage, own).usd
    if paid_usd is None:
        return _Known(None, "no price list knows the model", past=False)
    return _Known(paid_usd, f"{basis}; a real model takes more turns or fewer", past=False)
