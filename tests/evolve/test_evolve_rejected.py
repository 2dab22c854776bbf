"""What a gate rejected is told to the evolver, and is not proposed to a gate again."""

import json

import pytest
from evolve_script import Evolver, attempt, skill, write

from grindstone.evolve import EvolutionEngine, EvolveConfig
from grindstone.evolve.gate_conditions import GateConditions
from grindstone.observe.observation import observe_unlabelled
from grindstone.settings import FeedbackLevel

pytestmark = pytest.mark.catalogue(of="what misleads a learner")

HARM = skill("tables", "Overwrite the input.")
SPELLED_OTHERWISE = HARM.replace("metadata:\n", 'metadata:\n  version: "7"\n') + "\n\n"
SPACED_OTHERWISE = HARM.replace("Overwrite the input.", "Overwrite  the\n   input. ")


@pytest.fixture
def engine(model, any_provider) -> EvolutionEngine:
    return EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)


def first_words(evolver: Evolver) -> str:
    """The message that opened the last session."""
    text: str = evolver.requests[-1]["messages"][0]["content"][0]["text"]
    return text


async def rejected(engine: EvolutionEngine, evolver: Evolver, workspace, seen, text=HARM):
    """Let the evolver make a change and a gate undo it."""
    evolver.plays(write("skills/tables/SKILL.md", text))
    made = await engine.aevolve(workspace, [seen])
    assert made.skills_added == ("tables",)
    workspace.rollback(
        f"pre-evo-{made.evo_number}", reason="worse on task crates-by-port", weighed="rejected"
    )


async def test_the_evolver_is_told_of_a_rejection_with_its_own_diff(
    evolver, engine, workspace, observe
):
    await rejected(engine, evolver, workspace, observe())
    assert "Weighed and rejected" not in first_words(evolver)
    evolver.plays("Nothing to learn.")
    await engine.aevolve(workspace, [observe(task_id="other")])
    told = first_words(evolver)
    assert "## Weighed and rejected before" in told
    assert "+1. Look at the first line. Overwrite the input." in told
    assert "b/skills/tables/SKILL.md" in told
    assert "crates-by-port" not in told, "what it was weighed on stays unknown"


@pytest.mark.parametrize("text", [HARM, SPELLED_OTHERWISE, SPACED_OTHERWISE])
async def test_the_same_change_again_is_refused_and_may_be_mended_once(
    evolver, engine, workspace, observe, text
):
    await rejected(engine, evolver, workspace, observe())
    before = workspace.snapshot()
    evolver.plays(write("skills/tables/SKILL.md", text), "done", "I leave it.")
    again = await engine.aevolve(workspace, [observe()])
    assert not again.changed
    assert [(each.path, each.rule) for each in again.refusals] == [
        ("skills/tables/SKILL.md", "rejected_before")
    ]
    assert "rejected_before" in evolver.told()
    assert workspace.snapshot().tree == before.tree
    assert not workspace.evolutions()[-1].changed, "it is recorded, as an evolution without change"

    mended = skill("tables", "Keep the input.")
    evolver.plays(
        write("skills/tables/SKILL.md", text), "done", write("skills/tables/SKILL.md", mended)
    )
    other = await engine.aevolve(workspace, [observe()])
    assert other.skills_added == ("tables",)
    assert "Keep the input." in (workspace.root / "skills/tables/SKILL.md").read_text()


@pytest.mark.parametrize("renamed", [("tables", "sheets"), ("name: tables", "name: sheets")])
async def test_another_name_makes_no_other_change(evolver, engine, workspace, observe, renamed):
    harm = HARM.replace("Overwrite the input.", "Overwrite all tables.")
    await rejected(engine, evolver, workspace, observe(), harm)
    evolver.plays(write("skills/sheets/SKILL.md", harm.replace(*renamed)), "done", "I leave it.")
    again = await engine.aevolve(workspace, [observe()])
    assert not again.changed
    assert [(each.path, each.rule) for each in again.refusals] == [
        ("skills/sheets/SKILL.md", "rejected_before")
    ]


THEN = GateConditions(
    run_key="first", model="model-a", profile="strands", tasks="aa", rule="higher", trials=1
)


@pytest.mark.parametrize(
    ("now", "refused"),
    [
        ({}, True),
        ({"run_key": "second"}, True),
        ({"run_key": "second", "model": "model-b"}, False),
        ({"run_key": "second", "profile": "terminus2"}, False),
        ({"run_key": "second", "tasks": "bb"}, False),
        ({"run_key": "second", "rule": "no_regression"}, False),
        ({"run_key": "second", "trials": 3}, False),
        ({"run_key": "second", "trials": 0}, True),
        (None, True),
    ],
)
async def test_a_refusal_lapses_with_what_was_weighed_on(
    evolver, engine, workspace, observe, now, refused
):
    evolver.plays(write("skills/tables/SKILL.md", HARM))
    await engine.aevolve(workspace, [observe()])
    workspace.rollback("pre-evo-1", weighed=THEN.told)
    conditions = None if now is None else THEN.model_copy(update=now)
    evolver.plays(write("skills/tables/SKILL.md", HARM), "done", "I leave it.")
    again = await engine.aevolve(workspace, [observe()], conditions=conditions)
    assert again.changed is not refused
    told = first_words(evolver).partition("## Weighed and rejected before")[2]
    assert ("Overwrite the input" in told) is refused, "who is shown it is told that it is refused"


@pytest.mark.parametrize("run_key", ["first", "second"])
async def test_another_library_lets_a_later_run_weigh_again(
    evolver, engine, workspace, observe, run_key
):
    """In one run the library changes with each acceptance, and a change is weighed once."""
    evolver.plays(write("skills/tables/SKILL.md", HARM))
    await engine.aevolve(workspace, [observe()])
    workspace.rollback("pre-evo-1", weighed=THEN.told)
    evolver.plays(write("skills/ports/SKILL.md", skill("ports", "Count by port.")))
    await engine.aevolve(workspace, [observe()])
    evolver.plays(write("skills/tables/SKILL.md", HARM), "done", "I leave it.")
    conditions = THEN.model_copy(update={"run_key": run_key})
    again = await engine.aevolve(workspace, [observe()], conditions=conditions)
    assert again.changed is (run_key == "second")


async def test_what_a_person_undid_or_brought_back_is_no_rejection(
    evolver, engine, workspace, observe
):
    evolver.plays(write("skills/tables/SKILL.md", HARM))
    await engine.aevolve(workspace, [observe()])
    workspace.rollback("pre-evo-1")
    evolver.plays(write("skills/tables/SKILL.md", HARM))
    assert (await engine.aevolve(workspace, [observe()])).changed
    workspace.rollback("pre-evo-2", weighed="rejected")
    workspace.rollback("evo-2")
    evolver.plays("Nothing to learn.")
    await engine.aevolve(workspace, [observe()])
    assert "Weighed and rejected" not in first_words(evolver)


async def test_who_may_know_less_is_not_shown_what_more_was_told_for(
    evolver, engine, workspace, observe
):
    """A change made with the tests in sight stays refused, and its text stays out of sight."""
    await rejected(engine, evolver, workspace, observe(level=FeedbackLevel.TESTS))
    unlabelled = observe_unlabelled(
        attempt(), task_id="other", category="data", instruction="Read the table."
    )
    for seen in (unlabelled, observe(level=FeedbackLevel.SCORE)):
        evolver.plays(write("skills/tables/SKILL.md", HARM), "done", "I leave it.")
        result = await engine.aevolve(workspace, [seen])
        assert "Overwrite" not in first_words(evolver)
        assert [each.rule for each in result.refusals] == ["rejected_before"]
        assert "test" not in json.dumps([each.reason for each in result.refusals])
    await rejected(engine, evolver, workspace, unlabelled, skill("tables", "Guess the delimiter."))
    evolver.plays("Nothing to learn.")
    await engine.aevolve(workspace, [unlabelled])
    assert "Guess the delimiter" in first_words(evolver)


async def test_a_new_skill_carries_a_version_and_keeps_within_its_length(
    evolver, model, any_provider, workspace, observe
):
    plain = skill("tables")
    engine = EvolutionEngine(
        EvolveConfig(max_skill_chars=len(plain)), model=model, provider=any_provider
    )
    evolver.plays(write("skills/tables/SKILL.md", plain), "done", "I leave it.")
    refused = await engine.aevolve(workspace, [observe()])
    assert [each.rule for each in refused.refusals] == ["max_skill_chars"], "its version counts"
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    evolver.plays(write("skills/tables/SKILL.md", plain))
    await engine.aevolve(workspace, [observe()])
    assert 'version: "1"' in (workspace.root / "skills/tables/SKILL.md").read_text()
