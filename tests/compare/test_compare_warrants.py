"""`skills audit`, whole: after a switch of models the useless skill goes, the useful one stays."""

from pathlib import Path

import pytest
from support.fleet import write_task
from support.teaching import taught
from support.wiretap import Wiretap

from grindstone.flows.warrant import warrant
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import EvolutionRow
from grindstone.records import Episode, Purpose
from grindstone.rehearsal import knowledge
from grindstone.resources import bundled
from grindstone.settings import WarrantSettings
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.catalogue(of="audits of a library"),
    pytest.mark.timeout(500),
]

TASKS = ["crlf-kit", "visitor-report", "ledger-package"]  # all of one field
USEFUL, USELESS, UNREAD = "python2-era-builds", "build-kit-reports", "sourdough-bread"
SKILLS = {
    USELESS: "When a build script of a kit, a report or a package does not start any more.",
    UNREAD: "How long dough rises at which temperature.",
}
BODY = "## Steps\n```bash\ntrue\n```\n\n## Verification\n- Nothing was done.\n"


def workspace_at(home: Path) -> Workspace:
    folder = home / "agents" / "skillbench" / "workspace"
    workspace = Workspace.create(folder, bundled("seed_workspaces/terminal"))
    texts = {
        name: f"---\nname: {name}\ndescription: {d}\n---\n\n{BODY}" for name, d in SKILLS.items()
    }
    [entry] = [each for each in knowledge.entries() if each.skill == USEFUL]
    with workspace.writing() as root:
        for name, text in (texts | {USEFUL: taught(entry)}).items():
            (root / "skills" / name).mkdir(parents=True)
            (root / "skills" / name / "SKILL.md").write_text(text)
        workspace.commit_evolution(None, "Three skills by hand")
    return workspace


async def test_a_skill_that_breaks_the_agent_is_known_to_harm(
    tmp_path: Path, tap: Wiretap, prefect_server: str
):
    """No attempt with it has a score, and all without it do."""
    for number in range(3):
        write_task(tmp_path / "tasks" / f"task-{number}", number)
    (tmp_path / "agent.yaml").write_text(
        "name: reader\ncommand: test ! -d /root/.claude/skills/broken && echo done > /app/done\n"
    )
    folder = tmp_path / "agents" / "skillbench" / "workspace"
    workspace = Workspace.create(folder, bundled("seed_workspaces/terminal"))
    with workspace.writing() as root:
        (root / "skills" / "broken").mkdir(parents=True)
        words = f"---\nname: broken\ndescription: When a file must be made.\n---\n\n{BODY}"
        (root / "skills" / "broken" / "SKILL.md").write_text(words)
        workspace.commit_evolution(None, "A skill that breaks its reader")
    given = {"work_dir": tmp_path, "tasks_dir": tmp_path / "tasks", "false_share": 0.5}
    given |= {"model_id": "rehearsal", "agent": str(tmp_path / "agent.yaml"), "max_workers": 4}
    given |= {"native_profile": "command", "retire": "nothing", "run_key": "audit"}
    done = await warrant(WarrantSettings.model_validate(given))
    assert [(row.skill, row.state, row.lift) for row in done.warrants] == [("broken", "harms", -1)]


async def test_a_switch_of_models_retires_what_is_useless_and_keeps_what_helps(
    tmp_path: Path, tap: Wiretap, prefect_server: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", tap.url)
    workspace, ledger = workspace_at(tmp_path), Ledger(tmp_path)
    few = {"false_share": 0.5, "margin": 0.4, "never_loaded_after": 3}  # three tasks say no more
    given = {
        "work_dir": tmp_path,
        "task_ids": TASKS,
        "native_profile": "strands",
        "max_workers": 4,
    } | few

    async def audit(key: str, **more: object):
        return await warrant(WarrantSettings.model_validate(given | {"run_key": key} | more))

    old, new = "claude-sonnet-5-5", "claude-opus-5-5"
    nothing = {"model_id": old, "retire": "nothing"}
    broke = await audit("broke", max_attempts=2, **nothing)
    assert (broke.warrants, len(broke.in_doubt)) == ((), 3)
    first = await audit("first", never_loaded_after=4, **nothing)
    assert first.in_doubt == (UNREAD,)
    page = (first.folder / "warrants.md").read_text()
    assert f"In doubt still: {UNREAD} (never read in 3 of 4 tasks)" in page
    again = await audit("again", never_loaded_after=4, **nothing)
    assert again.in_doubt == (UNREAD,)
    assert not ledger.rows(Episode, "again"), "the same tasks again are no new chances"
    more = await audit("more", **nothing)
    assert not ledger.rows(Episode, "more"), "what was seen is enough"
    found = {row.skill: row for row in more.warrants}
    assert {name: row.state for name, row in found.items()} == {
        USEFUL: "helps",
        USELESS: "harmless",
        UNREAD: "never loaded",
    }
    assert (found[USEFUL].lift, found[USEFUL].offered >= 3) == (1.0, True)
    assert found[USELESS].loaded > 0, "it is read, and makes no difference"
    # With all skills once, and once without each that is read; never read: nothing to leave out.
    made = ledger.rows(Episode, "first")
    assert {row.purpose for row in made} == {Purpose.ABLATE}
    assert len(made) == 3 * len(TASKS)

    held = await audit("held", **nothing)
    assert {row.run_key for row in held.warrants} == {"first", "more"}
    assert not ledger.rows(Episode, "held"), "a warrant that holds costs nothing"

    kept = workspace.library.names()
    switched = await audit("switched", model_id=new)
    assert kept == tuple(sorted((USEFUL, USELESS, UNREAD)))
    assert switched.retired == (USELESS, UNREAD)
    assert workspace.library.names() == (USEFUL,)
    assert [(row.skill, row.state, row.model) for row in switched.warrants] == [
        (USEFUL, "helps", new)
    ]
    calm = await audit("calm", model_id=new)
    assert (calm.retired, ledger.rows(Episode, "calm")) == ((), [])
    [row] = ledger.rows(EvolutionRow, "switched")
    assert (row.step, row.skills_removed, row.accepted) == ("retire", (USELESS, UNREAD), True)
    page = (switched.folder / "warrants.md").read_text()
    assert f"| {USELESS} | harmless (retired) |" in page
