"""How many attempts a run may make: gates and all else counted, sealed tasks left out."""

from typing import Any

import pytest

from grindstone.settings import AdaptiveSettings, GrindSettings, RunSettings, WarrantSettings
from grindstone.spending import attempts_of

N = 12  # the bundled tasks
CASES: list[tuple[type[RunSettings], dict[str, Any], tuple[int, int]]] = [
    (GrindSettings, {}, (N, 3 * N)),
    (GrindSettings, {"impossible": 5}, (N + 5, 3 * N + 5)),
    (GrindSettings, {"compare": True, "trials": 2}, (N + 4 * N, 3 * N + 4 * N)),
    (GrindSettings, {"sealed_ratio": 0.5, "compare": True}, (6 + 12, 18 + 12)),
    # Nine teach, one after another: each may change the library in two cycles, and by its pass.
    (
        GrindSettings,
        {"holdout_ratio": 0.25, "max_cycles": 2, "gate_second_looks": 0},
        (9, 2 * 9 + 2 * 3 * (9 * 2 + 9)),
    ),
    (
        GrindSettings,
        {"holdout_ratio": 0.25, "max_cycles": 1, "batch_size": 9, "success_mode": "off"},
        (9, 9 + 2 * 3 * 2),
    ),
    (
        GrindSettings,
        {"holdout_ratio": 0.25, "max_cycles": 1, "batch_size": 9, "gate_rule": "improvement"},
        (9, 9 + 2 * 3 * 2),
    ),
    (AdaptiveSettings, {"holdout_ratio": 0}, (3 * 10, 10 * 10)),
    (
        AdaptiveSettings,
        {"holdout_ratio": 0.25, "max_cycles": 2, "gate_trials": 3, "impossible": 1},
        (2 * 9 + 1, 2 * 9 + 1 + 2 * 3 * 3 * 4),
    ),
    (WarrantSettings, {"max_attempts": 40}, (0, 40)),
]


@pytest.mark.parametrize(("kind", "given", "attempts"), CASES)
def test_attempts_are_counted(
    kind: type[RunSettings], given: dict[str, Any], attempts: tuple[int, int]
):
    assert attempts_of(kind(**given)) == attempts
