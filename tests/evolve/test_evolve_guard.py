"""The leak guard against the bundled tasks' real answers, in the library call as in the flows."""

import asyncio
import re
from collections.abc import Mapping

import pytest
from evolve_script import skill, write

from grindstone.benchmark import load_task
from grindstone.errors import InputError
from grindstone.evolve import AEvolveEngine, EvolveConfig
from grindstone.evolve.answers import AnswerKey, answer_key
from grindstone.evolve.guard import check_against, known_of
from grindstone.evolve.permissions import Check
from grindstone.records import TestResult, Verdict
from grindstone.resources import bundled
from grindstone.sandbox import open_provider, probe
from grindstone.settings import FeedbackLevel

pytestmark = pytest.mark.slow

TASKS = bundled("examples/tasks")
NAMES = sorted(path.name for path in TASKS.iterdir() if path.is_dir())

HONEST = """---
name: convert-tables
description: When a table must be converted, how to keep its text unharmed.
---

## Steps

1. Serve `application/json`; seconds since the epoch are UTC.
2. A `Traceback` on standard error, or "cannot read" and "line 1", tells where input is broken.
3. Replace `print x` by `print(x)` and `except IOError, e` by `except IOError as e`.
4. Find lost commits with `git fsck --no-reflogs --lost-found`, then `git branch NAME SHA`.

```python
import csv, json
from pathlib import Path

def main():
    with open(path, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert isinstance(rows, list) and rows

if __name__ == "__main__":
    main()
```

## Verification

- `python3 -m json.tool out.json` ends with 0; the active rows passed, 200 of 200.
"""


@pytest.fixture(scope="module")
def keys() -> Mapping[str, AnswerKey]:
    found = probe()
    if not found.can_run_tasks:
        pytest.skip("; ".join(f"{tool.name}: {tool.reason}" for tool in found.tools))

    async def learn() -> dict[str, AnswerKey]:
        provider = await open_provider("auto")
        places = asyncio.Semaphore(4)

        async def key_of(name: str) -> AnswerKey:
            async with places:
                return await answer_key(load_task(TASKS / name), provider)

        try:
            return dict(zip(NAMES, await asyncio.gather(*map(key_of, NAMES)), strict=True))
        finally:
            await provider.close()

    return asyncio.run(learn())


@pytest.fixture(scope="module")
def checks(keys: Mapping[str, AnswerKey]) -> Mapping[str, Check]:
    return {name: check_against([known_of(load_task(TASKS / name), keys[name])]) for name in NAMES}


def product(key: AnswerKey) -> str:
    """The longest thing the solution made: the whole answer of a task that has one file."""
    made = {path: text for path, text in key.answers.items() if not path.startswith("/tmp/")}
    outs = {path: text for path, text in made.items() if "/out/" in path or "/dist/" in path}
    refs = {path: text for path, text in made.items() if "/refs/" in path}
    return max((outs or refs or made).values(), key=len)


@pytest.mark.sandbox
@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_complete_answer_is_refused(name, keys, checks):
    answer = product(keys[name])
    assert checks[name]("skills/x/SKILL.md", f"The right answer is:\n\n{answer}\n")
    flat = " ".join(answer.split())
    assert checks[name]("skills/x/SKILL.md", f"Write {flat} to the file.\n")
    bare = re.sub(r"[^\w\s]", " ", answer)
    assert checks[name]("skills/x/SKILL.md", f"The right answer is:\n\n{bare}\n")


@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_honest_text_is_left_alone(name, checks):
    assert checks[name]("skills/convert-tables/SKILL.md", HONEST) == []
    for path in sorted(bundled("seed_workspaces/skillbench/skills").glob("*/SKILL.md")):
        assert checks[name](f"skills/{path.parent.name}/SKILL.md", path.read_text()) == [], path


@pytest.mark.slow
def test_part_of_an_answer_is_refused_and_the_line_is_named(keys, checks):
    [hours] = [text for path, text in keys["errors-by-hour"].answers.items() if "/out/" in path]
    hour, count = hours.strip("{}").split(",")[0].split(": ")
    text = f"## Steps\n\n1. Look.\n2. At {hour} there were {count} errors.\n"
    [reason] = checks["errors-by-hour"]("skills/x/SKILL.md", text)
    assert reason.startswith("line 4 ('2. At ")
    assert reason.endswith("holds a part of the right answer")
    rows = keys["plain-inventory"].answers["/app/out/inventory.json"].splitlines()
    assert checks["plain-inventory"]("skills/x/SKILL.md", "\n".join(rows[1:8]))


@pytest.mark.slow
def test_a_commit_is_an_answer_by_its_short_name_too(keys, checks):
    commit = keys["lost-commit"].answers["/app/site/.git/refs/heads/rescue"].strip()
    for shown in (commit, commit[:10], commit[:7], commit.upper()[:12]):
        assert checks["lost-commit"]("skills/x/SKILL.md", f"Run `git branch rescue {shown}`.\n")
    assert checks["lost-commit"](f"skills/x/{commit[:10]}.md", "Nothing.\n") == [
        "its path holds a part of the right answer"
    ]


def test_what_was_found_out_once_is_kept_by_the_tasks_digest(keys, tmp_path):
    task = load_task(TASKS / "crlf-kit")
    (tmp_path / f"{task.digest}.json").write_text(keys["crlf-kit"].model_dump_json())
    found = asyncio.run(answer_key(task, None, kept_in=tmp_path))  # type: ignore[arg-type]
    assert found == keys["crlf-kit"]


def cheat_of(key: AnswerKey) -> str:
    return "The result is " + " ".join(product(key).split())[:600]


async def test_the_documented_call_refuses_an_answer(
    evolver, model, any_provider, workspace, observe, keys
):
    engine = AEvolveEngine(EvolveConfig(no_direct_answers=True), model=model, provider=any_provider)
    cheat = skill("cheat", cheat_of(keys["errors-by-hour"]))
    evolver.plays(write("skills/cheat/SKILL.md", cheat), "done", "done")
    seen = observe(
        level=FeedbackLevel.NONE, task_id="errors-by-hour", task_dir=TASKS / "errors-by-hour"
    )
    result = await engine.aevolve(workspace=workspace, observation_logs=[seen], evo_number=1)
    assert result["skills_added"] == []
    assert {each.rule for each in result.refusals} == {"no_direct_answers"}
    assert result.refusals[0].reason.startswith("line ")
    # The evolver's own line is named to it, so that it can mend it.
    assert "holds a part of the right answer" in evolver.told(2)


async def test_what_a_verdict_shows_is_guarded_without_a_folder(
    evolver, model, any_provider, workspace, observe
):
    said = Verdict(
        reward=0.0,
        passed=False,
        tests=(TestResult(name="t", status="failed", message="assert 0 == 48213.57"),),
    )
    seen = observe(said, FeedbackLevel.NONE)
    evolver.plays(
        write("skills/cheat/SKILL.md", skill("cheat", "It is 48,213.57.")), "done", "done"
    )
    engine = AEvolveEngine(EvolveConfig(), model=model, provider=any_provider)
    result = await engine.aevolve(workspace, [seen])
    assert not result.changed
    asked = AEvolveEngine(EvolveConfig(no_direct_answers=True), model=model, provider=any_provider)
    with pytest.raises(InputError, match="ledger-import-7: the task's folder is not known"):
        await asked.aevolve(workspace, [seen])


async def test_an_earlier_level_is_lowered_to_the_present_one(
    evolver, model, any_provider, workspace, observe
):
    verdict = Verdict(
        reward=0.4375,
        passed=False,
        tests=(TestResult(name="test_canary_sum[CANARYPARAM]", status="failed"),),
        output="CANARYOUTPUT",
    )
    engine = AEvolveEngine(EvolveConfig(), model=model, provider=any_provider)
    await engine.aevolve(workspace, [observe(verdict, FeedbackLevel.FULL, task_id="first")])
    for level, told in (
        (FeedbackLevel.NONE, {"first"}),
        (FeedbackLevel.SCORE, {"first", "0.438"}),
        (FeedbackLevel.TESTS, {"first", "0.438", "test_canary_sum"}),
    ):
        evolver.requests.clear()
        other = Verdict(reward=0.0, passed=False)
        await engine.aevolve(workspace, [observe(other, level, task_id=f"later-{level}")])
        words = ("first", "0.438", "test_canary_sum", "CANARYPARAM", "CANARYOUTPUT")
        assert {word for word in words if word in evolver.wire} == told, level


async def test_label_free_prompts_hold_no_refusal_made_from_tests(
    evolver, model, any_provider, workspace, observe, keys
):
    engine = AEvolveEngine(EvolveConfig(), model=model, provider=any_provider)
    cheat = skill("cheat", cheat_of(keys["errors-by-hour"]))
    evolver.plays(write("skills/cheat/SKILL.md", cheat), "done", "done")
    seen = observe(task_id="errors-by-hour", task_dir=TASKS / "errors-by-hour")
    first = await engine.aevolve(workspace, [seen])
    assert first.refusals
    evolver.requests.clear()
    await engine.aevolve(workspace, [seen.unlabelled()], refused=first.refusals)
    assert "no_direct_answers): " not in evolver.wire
    assert "right answer" not in evolver.wire
    evolver.requests.clear()
    later = observe(task_id="errors-by-hour", task_dir=TASKS / "errors-by-hour", cycle=2)
    await engine.aevolve(workspace, [later], refused=first.refusals)
    assert "holds a part of the right answer" in evolver.wire, "the test has teeth"
