"""A setting that was changed and can have no effect is told; one that has an effect is not."""

from typing import Any

import pytest

from grindstone.settings import (
    AdaptiveSettings,
    CompareSettings,
    CompetencySettings,
    GrindSettings,
    RouteSettings,
    RunSettings,
)
from grindstone.settings.idle import RULES, idle

GATE = {"gate_trials": 3, "gate_rule": "improvement"}
CASES: list[tuple[type[RunSettings], dict[str, Any], set[str]]] = [
    (GrindSettings, GATE, set(GATE)),
    (GrindSettings, GATE | {"holdout_ratio": 0.5}, set()),
    (GrindSettings, {"gate_alpha": 0.1, "gate_threshold": 0.5}, {"gate_alpha", "gate_threshold"}),
    (AdaptiveSettings, GATE, set()),
    (AdaptiveSettings, GATE | {"holdout_ratio": 0, "split_seed": 1}, set(GATE)),
    (GrindSettings, {"split_seed": 1}, {"split_seed"}),
    (GrindSettings, {"split_seed": 1, "sealed_ratio": 0.5}, set()),
    (AdaptiveSettings, GATE | {"gate_second_looks": 2}, {"gate_second_looks"}),
    (AdaptiveSettings, {"gate_second_looks": 2}, set()),
    (GrindSettings, {"trials": 2}, {"trials"}),
    (GrindSettings, {"trials": 2, "compare": True}, set()),
    (CompareSettings, {"trials": 2}, set()),
    (GrindSettings, {"selection": "semantic"}, {"selection"}),
    (GrindSettings, {"selection": "semantic", "skill_select_limit": 2}, set()),
    (GrindSettings, {"promotion_threshold": 2}, set()),
    (
        GrindSettings,
        {"promotion_threshold": 2, "success_mode": "draft_only"},
        {"promotion_threshold"},
    ),
    (GrindSettings, {"distill": True, "evolve_skills": False}, {"distill"}),
    (AdaptiveSettings, {"max_skills": 2, "prompt_only": True}, {"max_skills"}),
    (AdaptiveSettings, {"judge_model_id": "rehearsal"}, set()),
    (
        AdaptiveSettings,
        {"judge_model_id": "rehearsal", "judge_agent": "codex", "trajectory_only": False},
        {"judge_model_id", "judge_agent"},
    ),
    (AdaptiveSettings, {"feedback_level": "full"}, {"feedback_level"}),
    (AdaptiveSettings, {"feedback_level": "full", "trajectory_only": False}, set()),
    (CompareSettings, {"slice_size": 2, "max_slices": 1}, {"slice_size", "max_slices"}),
    (CompareSettings, {"slice_size": 2, "dispatch": "deployment"}, set()),
    (GrindSettings, {"context_tokens": 9000, "agent": "codex"}, {"context_tokens"}),
    (GrindSettings, {"context_tokens": 9000, "solver": "a:b"}, set()),
    (GrindSettings, {"tasks_dir": "a", "tasks_with_skills_dir": "b"}, {"tasks_with_skills_dir"}),
    (GrindSettings, {"tasks_with_skills_dir": "b"}, set()),
    (
        GrindSettings,
        {"tasks_dir": "a", "tasks_without_skills_dir": "b", "use_skills": True},
        {"tasks_without_skills_dir"},
    ),
    (CompareSettings, {"tasks_without_skills_dir": "b", "use_skills": True}, set()),
    (CompetencySettings, {"held_out": 0.5, "train": "queue"}, {"held_out"}),
    (CompetencySettings, {"held_out": 0.5}, set()),
    (RouteSettings, {"review_timeout_s": 5, "approved_by": "Ada"}, {"review_timeout_s"}),
    (RouteSettings, {"review_timeout_s": 5}, set()),
]


@pytest.mark.parametrize(("kind", "given", "told"), CASES)
def test_what_has_no_effect_is_told(kind: type[RunSettings], given: dict[str, Any], told: set[str]):
    assert {sentence.split()[0] for sentence in idle(kind(**given))} == told


def test_defaults_are_not_told_and_each_rule_is_tried():
    for kind in {kind for kind, _, _ in CASES}:
        assert idle(kind()) == ()
    seen = {name for _, _, told in CASES for name in told}
    assert all(seen.intersection(rule.fields) for rule in RULES)
    for rule in RULES:
        for kind in rule.kinds:
            assert kind is RunSettings or set(rule.fields) <= kind.model_fields.keys()
