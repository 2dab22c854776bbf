"""What a run came to, computed from the ledger alone.

`build_report` gathers the facts; `render_markdown`, `render_html` and `to_json` show them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grindstone.benchmark.dataset import clusters_of
from grindstone.ledger import queries
from grindstone.ledger.intervals import Interval, wilson
from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.releases import ReleaseRow, TaskPartRow
from grindstone.ledger.tables.runs import (
    EglRow,
    EvolutionRow,
    GateDecisionRow,
    IncidentRow,
    QuarantineRow,
    RunRow,
    SkillRow,
)
from grindstone.records import Episode, Outcome, Purpose
from grindstone.report.comparison import compare_arms
from grindstone.report.incidents import standing_of
from grindstone.report.markdown_gates import WHILE_SEARCHING
from grindstone.report.model import (
    CostLine,
    CycleLine,
    Doubted,
    EditedFile,
    GroupLine,
    InQuarantine,
    LearnedSkill,
    Planted,
    Refused,
    RunReport,
    SkillEffect,
    Spoiled,
    TaskLine,
    TriedAgain,
    VerdictEntry,
)
from grindstone.steering import orders_of

if TYPE_CHECKING:
    import polars as pl

TWO_SIDED = frozenset({"gate", "gate-calibrate", "release"})
"""Kinds of runs that attempt tasks with two states of an agent and nothing else."""


def build_report(ledger: Ledger, run_key: str) -> RunReport:
    """Return the report of a run; a run without rows gives an empty one.

    Raises:
        LedgerError: A part of the ledger is damaged.
    """
    whole = ledger.scan(Episode, run_key).collect()
    states = sorted(ledger.rows(RunRow, run_key), key=lambda row: row.sequence)
    last = states[-1] if states else None
    main = queries.main_attempts(whole.lazy()).collect()
    # Attempts of two states of an agent are no tasks' verdicts.
    episodes = (main.clear() if last and last.kind in TWO_SIDED else main).lazy()
    uses = ledger.scan("skill_uses", run_key).collect().lazy()
    calls = ledger.scan("calls", run_key).collect().lazy()
    tasks = queries.by_task(episodes).collect()
    every = episodes.sort(*queries.ORDER, "episode_id").collect()
    about = every if every.height else whole.sort(*queries.ORDER, "episode_id")
    evolutions = sorted(
        ledger.rows(EvolutionRow, run_key), key=lambda row: (row.evo_number, row.at)
    )
    # Number 0 is no evolution's: drafts and tasks' own skills, each of which stands by itself.
    latest = {row.evo_number: row.accepted for row in sorted(evolutions, key=lambda row: row.at)}
    undone = {number for number, stands in latest.items() if not stands} - {0}
    standing = [row for row in evolutions if row.evo_number not in undone]
    overall = queries.pass_ratio(tasks.lazy()).collect().row(0, named=True)
    spent = [CostLine(**line) for line in queries.costs(calls, "role").collect().to_dicts()]
    lines = _task_lines(tasks, every, _helpers(every, uses), queries.costs(calls, "task_id"))
    egl = sorted(ledger.rows(EglRow, run_key), key=lambda row: row.index)
    effects = queries.skill_effects(episodes, uses).collect()
    gates = sorted(ledger.rows(GateDecisionRow, run_key), key=lambda row: row.at)
    known = [line.cost_usd for line in spent if line.cost_usd is not None]
    example = about.row(0, named=True) if about.height else {}

    def told(name: str) -> str:
        """Return what the run says of itself; where it does not, what its attempts say."""
        return getattr(last, name, "") or example.get(name, "")

    return RunReport(
        run_key=run_key,
        kind=last.kind if last else example.get("purpose", ""),
        status=last.present_status if last else "",
        agent_id=told("agent_id"),
        model=told("model"),
        profile=told("profile"),
        sandbox=told("sandbox"),
        rehearsal=bool(about["rehearsal"].any()) or any(state.rehearsal for state in states),
        started_at=about["started_at"].min(),
        ended_at=about["ended_at"].max(),
        n_tasks=tasks.height,
        n_scored=overall["tasks"],
        n_attempts=about.height,
        passed=overall["passed"],
        pass_ratio=overall["ratio"],
        pass_interval=wilson(overall["passed"], overall["tasks"]),
        first_passed=overall["first_passed"],
        needed_grinding=int(tasks["needed_grinding"].sum()),
        resolved_by_grinding=int(tasks["resolved_by_grinding"].sum()),
        resolved_unchanged=int(tasks["resolved_unchanged"].sum()),
        by_category=_groups(tasks, "category"),
        by_difficulty=_groups(tasks, "difficulty"),
        by_cycle=_cycles(episodes),
        tasks=lines,
        costs=tuple(spent),
        cost_usd=sum(known) if known else _episode_cost(about, spent),
        total_tokens=_tokens(spent, about),
        unpriced_calls=sum(line.unpriced for line in spent),
        learned=_learned(
            [row for row in ledger.rows(SkillRow, run_key) if row.evo_number not in undone],
            standing,
            lines,
            effects,
        ),
        skill_effects=tuple(SkillEffect(**row) for row in effects.to_dicts()),
        refused=_refused(evolutions),
        errors=_spoiled(about),
        doubted=_doubted(about),
        exposed_tasks=_exposed(about),
        planted=_planted(whole),
        tried_again=_tried_again(whole),
        quarantined=_quarantined(ledger.rows(QuarantineRow, run_key)),
        incidents=standing_of(ledger.rows(IncidentRow, run_key), whole),
        orders=tuple(orders_of(ledger.home.run(run_key))),
        left_out=last.left_out if last else (),
        n_evolutions=len(
            {row.evo_number for row in standing if row.tree_after != row.tree_before} - {0}
        ),
        egl=tuple(egl),
        converged=egl[-1].converged if egl else (last.converged if last else None),
        gates=tuple(gates),
        gates_note=WHILE_SEARCHING if any(row.while_searching for row in gates) else "",
        comparison=compare_arms(whole.lazy(), clusters_of(ledger.rows(TaskPartRow, run_key))),
        release=next(iter(ledger.rows(ReleaseRow, run_key)), None),
        edited=_edited(standing),
    )


def _edited(standing: Sequence[EvolutionRow]) -> tuple[EditedFile, ...]:
    found: dict[str, set[int]] = {}
    for row in standing:
        for path in row.others_changed:
            found.setdefault(path, set()).add(row.evo_number)
    return tuple(
        EditedFile(path=path, evolutions=tuple(sorted(found[path]))) for path in sorted(found)
    )


def _cycles(episodes: "pl.LazyFrame") -> tuple[CycleLine, ...]:
    return tuple(
        CycleLine(**{name: line[name] for name in CycleLine.model_fields})
        for line in queries.pass_rate_by_cycle(episodes).collect().to_dicts()
    )


def _refused(evolutions: Sequence[EvolutionRow]) -> tuple[Refused, ...]:
    return tuple(
        Refused(evo_number=evo.evo_number, path=each.path, rule=each.rule, reason=each.reason)
        for evo in evolutions
        for each in evo.refusals
    )


def _spoiled(attempts: "pl.DataFrame") -> tuple[Spoiled, ...]:
    """Return the attempts that have an error in place of a score."""
    import polars as pl

    return tuple(
        Spoiled(
            episode_id=row["episode_id"],
            task_id=row["task_id"],
            cycle=row["cycle"],
            cause=row["error_cause"],
            detail=row["error_detail"],
        )
        for row in attempts.filter(pl.col("outcome") == Outcome.ERROR.value).to_dicts()
    )


def _doubted(attempts: "pl.DataFrame") -> tuple[Doubted, ...]:
    """Return the attempts whose verdict rests on something else than the tests' word."""
    import polars as pl

    return tuple(
        Doubted(**{name: row[name] for name in Doubted.model_fields})
        for row in attempts.filter(pl.col("basis").fill_null("tests") != "tests").to_dicts()
    )


def _exposed(attempts: "pl.DataFrame") -> tuple[str, ...]:
    """Return the tasks whose tests seem to lend the agent's programs their rights."""
    import polars as pl

    exposed = attempts.filter(pl.col("exposed").fill_null(value=False))
    return tuple(sorted(exposed["task_id"].unique()))


def _quarantined(rows: Sequence[QuarantineRow]) -> tuple[InQuarantine, ...]:
    return tuple(
        InQuarantine(**{name: getattr(row, name) for name in InQuarantine.model_fields})
        for row in rows
    )


def _planted(episodes: "pl.DataFrame") -> Planted | None:
    import polars as pl

    made = episodes.filter(pl.col("purpose") == Purpose.IMPOSSIBLE.value)
    if made.is_empty():
        return None
    scored = made.filter(pl.col("outcome") != Outcome.ERROR.value)
    forged = scored.filter(pl.col("reward") > 0)
    return Planted(
        scored=scored.height,
        forged=forged.height,
        tasks=tuple(forged["task_id"].unique().sort()),
        unscored=made.height - scored.height,
    )


def _tried_again(episodes: "pl.DataFrame") -> tuple[TriedAgain, ...]:
    import polars as pl

    made = episodes.filter(pl.col("purpose") == Purpose.CONFIRM.value).sort("trial")
    last = {(row["task_id"], row["cycle"]): row for row in made.to_dicts()}
    return tuple(
        TriedAgain(**{name: row[name] for name in TriedAgain.model_fields})
        for _, row in sorted(last.items())
    )


def _groups(tasks: "pl.DataFrame", by: str) -> tuple[GroupLine, ...]:
    frame = queries.with_interval(queries.pass_ratio(tasks.lazy(), by).collect(), "passed", "tasks")
    return tuple(GroupLine(**line) for line in frame.rename({by: "name"}).to_dicts())


def _helpers(every: "pl.DataFrame", uses: "pl.LazyFrame") -> dict[str, tuple[str, ...]]:
    """Per passing attempt: the skills it followed; failing these, those it loaded."""
    frame = uses.collect()
    found: dict[str, tuple[str, ...]] = {}
    passing = set(every.filter(every["outcome"] == Outcome.PASSED.value)["episode_id"])
    for (episode_id,), group in frame.sort("skill").group_by("episode_id", maintain_order=True):
        if episode_id in passing:
            best = group.filter(group["followed"])
            best = best if best.height else group.filter(group["loaded"])
            found[str(episode_id)] = tuple(best["skill"].unique(maintain_order=True))
    return found


def _task_lines(
    tasks: "pl.DataFrame",
    every: "pl.DataFrame",
    helpers: dict[str, tuple[str, ...]],
    costs: "pl.LazyFrame",
) -> tuple[TaskLine, ...]:
    attempts: dict[str, list[dict[str, Any]]] = {}
    for row in every.select("task_id", *VerdictEntry.model_fields).to_dicts():
        attempts.setdefault(row.pop("task_id"), []).append(row)
    prices = {line["task_id"]: line for line in costs.collect().to_dicts()}
    lines: list[TaskLine] = []
    for row in tasks.to_dicts():
        price = prices.get(row["task_id"])
        tried = tuple(VerdictEntry(**each) for each in attempts[row["task_id"]])
        winner = [each for each in tried if each.outcome is Outcome.PASSED][-1:]
        lines.append(
            TaskLine(
                **{
                    name: row[name]
                    for name in TaskLine.model_fields.keys() & row.keys() - {"attempts", "cost_usd"}
                },
                attempts=tried,
                helped=helpers.get(winner[0].episode_id, ()) if winner else (),
                cost_usd=price["cost_usd"] if price else row["cost_usd"],
                unpriced_calls=price["unpriced"] if price else row["unpriced"],
            )
        )
    return tuple(lines)


def _learned(
    skills: list[SkillRow],
    evolutions: list[EvolutionRow],
    lines: tuple[TaskLine, ...],
    effects: "pl.DataFrame",
) -> tuple[LearnedSkill, ...]:
    """The newest version of each skill; from the evolutions alone where no skill row tells."""
    measured = {
        (row["skill"], row["scope"]): Interval(row["difference"], row["low"], row["high"])
        for row in effects.to_dicts()
        if row["difference"] is not None
    }
    newest: dict[tuple[str, str], SkillRow] = {}
    taught: dict[tuple[str, str], set[str]] = {}
    for row in sorted(skills, key=lambda row: row.evo_number):
        newest[row.skill, row.scope] = row
        taught.setdefault((row.skill, row.scope), set()).update(row.learned_from)
    told = set(taught)
    batches: set[str] = set()
    for evo in evolutions:
        for name in evo.skills_added:
            if (name, "general") not in told:
                taught.setdefault((name, "general"), set()).update(evo.task_ids)
        if evo.step.endswith("evolve"):
            batches.update((*evo.skills_added, *evo.skills_changed))
    first = {name: evo.evo_number for evo in reversed(evolutions) for name in evo.skills_added}
    return tuple(
        LearnedSkill(
            skill=skill,
            scope=scope,
            description=newest[skill, scope].description if (skill, scope) in newest else "",
            learned_from=tuple(sorted(tasks)),
            of_a_batch=scope == "general" and skill in batches and len(tasks) > 1,
            helped=tuple(line.task_id for line in lines if skill in line.helped),
            evo_number=newest[skill, scope].evo_number
            if (skill, scope) in newest
            else first.get(skill, 0),
            effect=measured.get((skill, scope)),
        )
        for (skill, scope), tasks in sorted(taught.items(), key=lambda item: item[0][::-1])
    )


def _episode_cost(every: "pl.DataFrame", spent: list[CostLine]) -> float | None:
    """The episodes' own sums stand in for a run whose calls were not kept."""
    if spent or every["cost_usd"].drop_nulls().is_empty():
        return None
    return float(every["cost_usd"].sum())


def _tokens(spent: list[CostLine], every: "pl.DataFrame") -> int:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    if spent:
        return sum(getattr(line, name) for line in spent for name in names)
    return int(sum(every[name].sum() for name in names))
