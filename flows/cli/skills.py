"""`grindstone skills`: an agent's skills, their history, and going back in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.errors import InputError
from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.home import AgentId, WorkDir, known_agent
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish_run, say
from grindstone.home import Home
from grindstone.settings import WarrantSettings
from grindstone.text import minute
from grindstone.workspace import Workspace
from grindstone.workspace.errors import WorkspaceError

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.flows.warrant import Warranted

PANELS = dict.fromkeys(
    ("trials", "max_attempts", "false_share", "margin", "never_loaded_after", "retire"), "Warrants"
)


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        name="skills", help="An agent's skills, their history, and going back in it."
    )
    group.command("list")(list_skills)
    group.command("show")(show)
    group.command("history")(history)
    group.command("rollback")(rollback)
    group.command("validate")(validate)
    group.command("audit")(takes_settings(WarrantSettings, PANELS)(audit))
    app.add_typer(group)


def list_skills(
    work_dir: WorkDir = Path("evolution_workdir"),
    agent_id: AgentId = "skillbench",
    as_json: JsonFlag = False,
) -> None:
    """List the general skills, with what is wrong with broken ones."""
    from grindstone.evolve.warrants import known_states
    from grindstone.ledger import Ledger

    library = _reading(work_dir, agent_id).library
    listing = library.load()
    states = known_states(Ledger(Home.at(work_dir)), agent_id, library)
    lines = [
        f"{skill.name:<28} v{skill.version:<4} {states.get(skill.name, ''):<12} {skill.description}"
        for skill in listing.skills
    ]
    lines += [f"{item.folder:<28} broken: {item.problem}" for item in listing.broken]
    emit(
        {
            "skills": [
                {
                    "name": skill.name,
                    "version": skill.version,
                    "category": skill.category,
                    "description": skill.description,
                    "warrant": states.get(skill.name),
                }
                for skill in listing.skills
            ],
            "broken": [item._asdict() for item in listing.broken],
        },
        as_json=as_json,
        text="\n".join(lines) or "No skills yet.",
    )


def show(
    name: Annotated[str, typer.Argument(help="The skill.")],
    work_dir: WorkDir = Path("evolution_workdir"),
    agent_id: AgentId = "skillbench",
    as_json: JsonFlag = False,
) -> None:
    """Print a skill's SKILL.md."""
    folder = _reading(work_dir, agent_id).library.folder(name)
    text = (folder / "SKILL.md").read_text("utf-8")
    emit({"name": name, "text": text}, as_json=as_json, text=text)


def history(
    work_dir: WorkDir = Path("evolution_workdir"),
    agent_id: AgentId = "skillbench",
    as_json: JsonFlag = False,
) -> None:
    """List the evolutions and rollbacks, the first one first."""
    refs = _reading(work_dir, agent_id).history()
    lines = [
        f"{'rollback' if ref.number is None else f'evo-{ref.number}':<8} {ref.commit[:10]}  "
        f"{minute(ref.at)}  {'rejected  ' if ref.rejected else ''}{ref.message}"
        for ref in refs
    ]
    head = f"{'':<8} {'commit':<10}  at (UTC)"
    emit(
        [ref.model_dump(mode="json") for ref in refs],
        as_json=as_json,
        text="\n".join([head, *lines]) if lines else "No evolution yet.",
    )


def rollback(
    to: Annotated[str, typer.Argument(help="A tag such as evo-3 or pre-evo-4, or a commit.")],
    work_dir: WorkDir = Path("evolution_workdir"),
    agent_id: AgentId = "skillbench",
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
) -> None:
    """Restore the workspace as of a tag or commit, by a new commit; nothing is lost."""
    home = Home.at(work_dir)
    workspace = Workspace.open(home.workspace(known_agent(home, agent_id)))
    try:
        workspace.snapshot(to)
    except WorkspaceError as error:
        known = [f"evo-{ref.number}" for ref in workspace.evolutions() if ref.number is not None]
        shown = ", ".join(known[-5:]) or "none yet"
        expected = f"a commit, or a tag of an evolution ({shown})"
        raise InputError(to, "is nothing to go back to", expected) from error
    ref = workspace.rollback(to, reason=reason)
    say(f"The workspace is as it was at {to} (commit {ref.commit[:10]}).")


def validate(
    path: Annotated[Path, typer.Argument(help="A skill's folder, or a SKILL.md.")],
    as_json: JsonFlag = False,
) -> None:
    """Check a skill against the open format. Exit code 1 when it is not valid."""
    from grindstone.skills import read_skill
    from grindstone.skills import validate as problems_of

    file = path / "SKILL.md" if path.is_dir() else path
    problems = problems_of(read_skill(file), folder=file.absolute().parent.name)
    lines = [f"{file}: {problem.field}: {problem.message}" for problem in problems]
    emit(
        [problem._asdict() for problem in problems],
        as_json=as_json,
        text="\n".join(lines) or f"{file}: valid",
    )
    if any(not problem.spelling for problem in problems):
        raise typer.Exit(1)


def audit(
    settings: WarrantSettings,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Measure what each skill does for the present model; retire those that do not help.

    A skill's warrant holds until model, skill or tasks change. Exit code 0: audited; 1: a ceiling
    ended the run; 2: unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _warrant_flow,
        settings,
        kind="warrant",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
    )
    document = result.model_dump(mode="json", include={"warrants", "retired", "in_doubt"})
    emit(document, as_json=as_json, text=(result.folder / "warrants.md").read_text("utf-8"))
    finish_run(
        result.report, ok=result.report.status == "completed", allow_broken=settings.allow_broken
    )


def _warrant_flow() -> "FlowOf[Warranted]":
    from grindstone.flows.warrant import warrant

    return warrant


def _reading(work_dir: Path, agent_id: str) -> Workspace:
    """Return the workspace as it lies there: opening it would undo what a person is changing."""
    home = Home.at(work_dir)
    return Workspace.reading(home.workspace(known_agent(home, agent_id)))
