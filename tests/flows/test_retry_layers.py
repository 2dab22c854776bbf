"""Each cause of infrastructure failure is raised somewhere, and one layer alone tries it again."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from prefect import Task, task

from grindstone.errors import POLICIES, Cause, InfrastructureError, RetryBy
from grindstone.flows.attempt import _attempt_once
from grindstone.tasks.evolve import _evolve
from grindstone.tasks.step import MOST_TRIES, infrastructure_only
from grindstone.tasks.write_skill import _write_skill

ROOT = Path(__file__).parents[2]
STEPS: list[Task[..., object]] = [_attempt_once, _evolve, _write_skill]


NAMED_BY_A_CLASS = {"InternalError": Cause.INTERNAL.name}


@cache
def causes_named() -> Counter[str]:
    """How often each `Cause.…`, or an error that stands for one, is named outside of `errors`."""
    found: Counter[str] = Counter()
    for floor in ("flows", "tasks", "blocks", "grindstone"):
        for path in (ROOT / floor).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            if path == ROOT / "grindstone" / "errors.py":
                tree.body = [each for each in tree.body if not isinstance(each, ast.AnnAssign)]
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    found[node.attr] += node.value.id == "Cause"
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                    found[NAMED_BY_A_CLASS.get(ast.unparse(node.exc.func), "")] += 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_policy_and_a_place_where_it_is_raised(cause: Cause):
    policy = POLICIES[cause]
    assert causes_named()[cause.name] > 0
    assert (policy.tries == 1) == (policy.retry_by is RetryBy.NOBODY)
    assert policy.retry_by is not RetryBy.TASK or policy.tries <= MOST_TRIES


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_steps_of_a_run_try_again_by_the_table(step: Task[..., object]):
    assert step.retries == MOST_TRIES - 1
    assert step.retry_condition_fn is infrastructure_only


@pytest.mark.server
async def test_the_task_layer_tries_its_own_causes_again_and_no_others(prefect_server: str):
    made: Counter[Cause] = Counter()

    @task(
        retries=MOST_TRIES - 1,
        retry_delay_seconds=0,
        retry_condition_fn=infrastructure_only,
        persist_result=False,
    )
    async def give_way(cause: Cause) -> None:
        made[cause] += 1
        raise InfrastructureError(cause, "on purpose")

    for cause in Cause:
        with pytest.raises(InfrastructureError):
            await give_way(cause)
    assert made == {
        cause: policy.tries if policy.retry_by is RetryBy.TASK else 1
        for cause, policy in POLICIES.items()
    }


def test_the_page_shows_the_table_as_it_is():
    page = (ROOT / "docs" / "durability.md").read_text("utf-8")
    layers = {"client": "the model client", "task": "the Prefect task", "nobody": "nobody"}
    layers["sender"] = "who sent it, in another slice"
    for cause, policy in POLICIES.items():
        who = layers[policy.retry_by.value]
        assert f"| `{cause.value}` | {policy.meaning} | {who} | {policy.tries} |" in page
