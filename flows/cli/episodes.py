"""`grindstone episodes`: the attempts of this home, and one of them with why it failed."""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from grindstone.errors import InputError
from grindstone.flows.cli.home import WorkDir, known_agent
from grindstone.flows.cli.output import JsonFlag, emit
from grindstone.ledger import Ledger
from grindstone.ledger.recall import one_of
from grindstone.records import Episode, Outcome
from grindstone.text import minute

Sort = Literal["started", "task", "reward", "turns", "tokens", "cost", "seconds"]
ORDERS: dict[str, Callable[[Episode], Any]] = {
    "started": lambda row: row.started_at,
    "task": lambda row: row.task_id,
    "reward": lambda row: -1.0 if row.reward is None else row.reward,
    "turns": lambda row: row.turns,
    "tokens": lambda row: row.usage.total_tokens,
    "cost": lambda row: row.cost_usd or 0.0,
    "seconds": lambda row: row.duration_s,
}


HEAD = (
    f"{'episode':<12}  {'started (UTC)':<16}  {'':1} {'task':<32} {'purpose':<8} {'place':<10} "
    f"{'outcome':<11} {'turns':>9} {'tokens':>16} {'took':>9} {'cost':>9}  run"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("episodes")(episodes)


def episodes(
    episode_id: Annotated[
        str | None, typer.Argument(help="Show this one; the first characters are enough.")
    ] = None,
    work_dir: WorkDir = Path("evolution_workdir"),
    run_key: Annotated[
        str | None, typer.Option(help="Only of this run; its start will do.")
    ] = None,
    agent_id: Annotated[str | None, typer.Option(help="Only of this agent.")] = None,
    task: Annotated[str, typer.Option(help="Only of tasks whose id fits, such as 'git-*'.")] = "*",
    category: Annotated[str, typer.Option(help="Only of categories that fit.")] = "*",
    outcome: Annotated[
        Outcome | None, typer.Option(help="Only those that passed, failed or had an error.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    sort: Annotated[Sort, typer.Option(help="By what; the largest last.")] = "started",
    limit: Annotated[int, typer.Option(help="At most so many, the last; 0: all.", min=0)] = 50,
    steps: Annotated[
        str | None, typer.Option(help="Of one attempt: only these steps, such as 3:9.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Of one attempt: only steps that met an error.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List attempts, or show one: why it failed, then everything the agent did."""
    if episode_id is None:
        for flag, given in (("--steps", steps is not None), ("--errors", errors)):
            if given:
                raise InputError(flag, "is of one attempt, which is not named", "an id before it")
    ledger = Ledger(work_dir.absolute())
    if run_key is not None:
        from grindstone.report.run_list import find_run

        run_key = find_run(ledger, run_key)
    if agent_id is not None:
        known_agent(ledger.home, agent_id, recorded=True)
    if failed and outcome not in (None, Outcome.FAILED):
        raise InputError("--failed", f"is given with --outcome {outcome}", "one of the two")
    wanted = Outcome.FAILED if failed else outcome
    rows = [
        row
        for row in sorted(ledger.rows(Episode, run_key), key=ORDERS["started"])
        if (agent_id is None or row.agent_id == agent_id)
        and (wanted is None or row.outcome is wanted)
        and fnmatchcase(row.task_id, task)
        and fnmatchcase(row.category, category)
    ]
    if episode_id is not None:
        found = one_of(rows, episode_id, "episode_id")
        _show(ledger, found, _span(steps), errors, as_json)
        return
    latest = sorted(rows, key=ORDERS[sort])[-limit:]  # with a limit of 0, all of them
    none = "No attempt is like that." if ledger.runs("episodes") else "No attempts yet."
    text = "\n".join([HEAD, *map(_line, latest)]) if latest else none
    emit([row.model_dump(mode="json") for row in latest], as_json=as_json, text=text)


def _line(row: Episode) -> str:
    from grindstone.report.words import attempt_cost

    reward = row.error_cause if row.reward is None else f"reward {row.reward:.2f}"
    place = [row.arm, f"cycle {row.cycle}" if row.cycle else ""]
    place.append(f"trial {row.trial}" if row.trial else "")
    cost = attempt_cost(row.cost_usd, row.usage.total_tokens, rehearsal=row.rehearsal)
    return (
        f"{row.episode_id[:12]:<12}  {minute(row.started_at)}  {row.outcome.mark} "
        f"{row.task_id:<32} {row.purpose.value:<8} {' '.join(filter(None, place)):<10} "
        f"{reward:<11} {row.turns:>3} turns {row.usage.total_tokens:>9,} tokens "
        f"{row.duration_s:>7.1f} s {cost:>9}  {row.run_key}"
    )


def _span(steps: str | None) -> range | None:
    """Return the steps that `3:9` names: from the third to the ninth, both included."""
    if steps is None:
        return None
    found = re.fullmatch(r"(\d{0,9}):?(\d{0,9})", steps)
    if found is None or steps in ("", ":"):
        raise InputError("--steps", f"is {steps!r}", "numbers of steps, such as 3:9, 3: or 7")
    first, last = found.groups()
    if ":" not in steps:
        return range(int(first), int(first) + 1)
    return range(int(first or 0), int(last) + 1 if last else 1_000_000_000)


def _show(ledger: Ledger, found: Episode, steps: range | None, errors: bool, as_json: bool) -> None:
    from grindstone.graduation.audit.remarks import remarks_markdown, remarks_on
    from grindstone.ledger.recall import recall
    from grindstone.observe.narrative import trajectory_markdown, verdict_markdown

    seen = recall(ledger, found.run_key, [found.episode_id])
    there = seen[0].trajectory.steps if seen else ()
    if steps is not None and not any(step.index in steps for step in there):
        has = f"it has steps 0 to {len(there) - 1}" if there else "it has none"
        raise InputError("--steps", f"names no step of the attempt: {has}", "some of those")
    said = remarks_on(ledger, [found.episode_id])
    document = {
        "episode": found.model_dump(mode="json"),
        "remarks": said.model_dump(mode="json"),
    }
    text = found.error_detail
    if seen:
        trajectory = seen[0].trajectory
        chosen = [
            step
            for step in trajectory.steps
            if (steps is None or step.index in steps) and (not errors or step.met_error)
        ]
        shown = trajectory.model_copy(update={"steps": tuple(chosen)})
        document["trajectory"] = shown.model_dump(mode="json")
        document["verdict"] = seen[0].verdict.model_dump(mode="json")
        text = f"{verdict_markdown(seen[0].verdict, words=True)}\n\n{trajectory_markdown(shown)}"
    if told := remarks_markdown(said):
        text = f"{told}\n\n{text}"
    emit(document, as_json=as_json, text=f"{HEAD}\n{_line(found)}", page=text)
