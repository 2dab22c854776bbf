"""One agent's audit trail as a board reads it: JSON, Markdown, or a page with plots."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from grindstone.base import Frozen
from grindstone.gate.exact import at_most
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.remarks import Remarks, remarks_markdown, remarks_on
from grindstone.graduation.audit.scope_levels import (
    ScopeStanding,
    scope_levels,
    scope_levels_markdown,
)
from grindstone.graduation.audit.standing import agent_name
from grindstone.graduation.audit.verify import Verification, verify
from grindstone.graduation.evidence.readiness import NAMES, Readiness, rehearsal_note
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import ORDER, Level
from grindstone.text import minute

if TYPE_CHECKING:
    import polars as pl

RECENT = 10


class Trail(Frozen):
    """What is known of an agent, each number computed from the ledger."""

    agent_id: str
    agent_name: str
    current_maturity: Level
    scope: str = ""  # the part of the work that is told of; empty: all of it
    scopes: tuple[ScopeStanding, ...] = ()  # every level the agent has, scope by scope
    policy: str
    total_episodes: int
    total_interventions: int
    intervened_episodes: int
    intervention_rate_upper: float
    avg_constitutional_score: float | None
    checked_episodes: int
    rehearsals: int
    rehearsal_note: str
    episodes_by_maturity: dict[str, int]
    recent_episodes: tuple[dict[str, JsonValue], ...]
    remarks: Remarks = Remarks()
    events: tuple[AuditEvent, ...]
    readiness: Readiness | None
    verification: Verification
    curve: tuple[dict[str, JsonValue], ...] = ()

    def documented(self) -> dict[str, Any]:
        """Return the documented keys, and what stands beside them, as plain JSON."""
        return self.model_dump(mode="json", exclude={"curve"})


def trail_of(registry: Registry, agent_id: str, scope: str | None = None) -> Trail:
    """Return an agent's trail.

    Args:
        registry: Ledger, trail, policies.
        agent_id: The agent.
        scope: The part of its work that is told of; None: the one its policy gives levels in.

    Raises:
        InputError: The id is none an agent can have, or its policy has no such scope.
    """
    from grindstone.graduation.evidence import measure

    agent = registry.agent(agent_name(agent_id), scope)
    policy = registry.policy(agent_id, agent.scope)
    every = (
        measure.of_record(
            measure.facts(
                measure.Tables.of(registry.ledger),
                digests=registry.digests(policy),
                agents=[agent_id],
            ),
            policy.model_copy(update={"rehearsals": True}),
        )
        .filter(policy.scope.expression())
        .sort("started_at", "episode_id")
        .collect()
    )
    frame = measure.played_by_itself(every.lazy(), policy).collect()
    rehearsals = int(every["rehearsal"].sum())
    touched = int((frame["interventions"] > 0).sum())
    counts = dict(frame["maturity"].replace({"": Level.STUDENT.value}).value_counts().iter_rows())
    score = frame["constitutional_score"]
    above = agent.level.above
    events = registry.chain.events()
    own = tuple(event for event in events if event.agent_id in ("", agent_id))
    return Trail(
        agent_id=agent_id,
        agent_name=agent.name or agent_id,
        current_maturity=agent.level,
        scope=agent.scope,
        scopes=scope_levels(registry, agent_id),
        policy=policy.name,
        total_episodes=frame.height,
        total_interventions=int(frame["interventions"].sum()),
        intervened_episodes=touched,
        intervention_rate_upper=at_most(touched, frame.height),
        avg_constitutional_score=_number(score.mean()),
        checked_episodes=int(score.count()),
        rehearsals=rehearsals,
        rehearsal_note=rehearsal_note(rehearsals, frame.height, policy),
        episodes_by_maturity={level.value: int(counts.get(level.value, 0)) for level in ORDER},
        recent_episodes=tuple(_recent(row) for row in frame.tail(RECENT).reverse().to_dicts()),
        remarks=remarks_on(registry.ledger, frame["episode_id"].to_list()),
        events=own,
        readiness=registry.readiness(agent_id, above, scope=agent.scope) if above else None,
        verification=verify(registry.chain),
        curve=_curve(frame),
    )


def to_markdown(trail: Trail, images: Mapping[str, str] | None = None) -> str:
    """Return the trail as a report to a board.

    Args:
        trail: What is reported.
        images: Markdown images by plot.
    """
    pictures = images or {}
    parts = [
        f"# Graduation report: {_safe(trail.agent_name)}",
        *([f"> **{trail.rehearsal_note}**"] if trail.rehearsal_note else []),
        _verdict(trail),
        _facts(trail),
        *([scope_levels_markdown(trail.scopes)] if trail.scopes else []),
        *([f"{pictures['interventions']}"] if "interventions" in pictures else []),
        "## Episodes by level",
        _table(
            ("level", "episodes"),
            [(name, str(count)) for name, count in trail.episodes_by_maturity.items()],
            right=(1,),
        ),
    ]
    if trail.readiness is not None:
        parts += _readiness(trail.readiness)
        if "components" in pictures:
            parts.append(pictures["components"])
    parts += ["## Latest episodes", _episodes(trail)]
    parts += [remarks_markdown(trail.remarks)] if trail.remarks != Remarks() else []
    parts += ["## Decisions", _events(trail)]
    parts += ["## How far this can be trusted", *_trust(trail)]
    return "\n\n".join(parts) + "\n"


def to_html(trail: Trail, *, plots: bool = True) -> str:
    """Return the trail as one page: no script, no outside address, plots included."""
    from grindstone.report.html import POLICY, STYLE
    from grindstone.report.html import to_html as blocks

    images = trail_plots(trail) if plots else {}
    title = f"Graduation report: {trail.agent_name}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{blocks(to_markdown(trail, images))}\n</body>\n</html>\n"
    )


def trail_plots(trail: Trail) -> dict[str, str]:
    """Return the trail's plots as Markdown images with their data in them, if they can be made."""
    from grindstone.graduation.audit.plots import (
        components_plot,
        interventions_plot,
    )
    from grindstone.report.plots import can_plot, data_uri, render_svg

    if not can_plot():
        return {}
    found = {}
    if trail.curve:
        found["interventions"] = interventions_plot(
            trail.curve, intervened=trail.intervened_episodes, episodes=trail.total_episodes
        )
    if trail.readiness is not None:
        found["components"] = components_plot(trail.readiness)
    return {name: f"![{name}]({data_uri(render_svg(chart))})" for name, chart in found.items()}


def _verdict(trail: Trail) -> str:
    level = trail.current_maturity.value + (f" in {trail.scope}" if trail.scope else "")
    if trail.readiness is None:
        return f"**{level}**, the highest level, under the policy {trail.policy}."
    target = trail.readiness.target.value
    if trail.readiness.ready:
        return f"**{level}; its record meets every criterion for {target}** ({trail.policy})."
    return (
        f"**{level}; not ready for {target}**, {len(trail.readiness.gaps)} criteria of the "
        f"policy {trail.policy} are not met."
    )


def _facts(trail: Trail) -> str:
    mean = trail.avg_constitutional_score
    rate = trail.intervened_episodes / trail.total_episodes if trail.total_episodes else 0.0
    return _table(
        ("", "value"),
        [
            ("Agent", f"`{_safe(trail.agent_id)}`"),
            ("Current level", trail.current_maturity.value),
            ("Episodes", str(trail.total_episodes)),
            (
                "Interventions",
                f"{trail.total_interventions} in {trail.intervened_episodes} episodes ({rate:.1%})",
            ),
            (
                "True intervention rate",
                f"at most {trail.intervention_rate_upper:.1%} (exact, 95%)",
            ),
            (
                "Mean constitutional score",
                "unknown"
                if mean is None
                else f"{mean:.3f} over {trail.checked_episodes} checked episodes",
            ),
        ],
    )


def _readiness(found: Readiness) -> list[str]:
    components = [
        (
            NAMES[item.name],
            "unknown" if item.raw is None else f"{item.raw:.4f}",
            f"{item.weighted:.2f} of {item.weight:g}",
            item.evidence,
        )
        for item in found.components
    ]
    requirements = [
        ("✓" if item.met else "✗", item.name.replace("_", " "), item.required, item.observed)
        for item in found.requirements
    ]
    return [
        f"## Readiness for {found.target.value}: {found.score:.1f} of 100",
        _table(("component", "raw", "points", "evidence"), components, right=(1, 2)),
        f"Most is to be gained in: {NAMES[found.weakest]}. {_safe(found.recommendation)}",
        _table(("", "criterion", "required", "observed"), requirements),
    ]


def _episodes(trail: Trail) -> str:
    if not trail.recent_episodes:
        return "There are none yet."
    rows = [
        (
            str(item["started_at"])[:16].replace("T", " "),
            _safe(str(item["title"] or item["id"])),
            str(item["human_intervention_count"]),
            "unknown"
            if item["constitutional_score"] is None
            else f"{item['constitutional_score']:.2f}",
            "✓" if item["success"] else "✗",
        )
        for item in trail.recent_episodes
    ]
    heads = ("started (UTC)", "episode", "interventions", "constitution", "succeeded")
    return _table(heads, rows, right=(2, 3))


def _events(trail: Trail) -> str:
    if not trail.events:
        return "None has been taken yet."
    rows = [
        (
            str(event.sequence),
            minute(event.at),
            event.kind.value.replace("_", " "),
            _step(event),
            _safe(event.by),
            _safe(event.reason[:240]),
        )
        for event in trail.events
    ]
    return _table(("no.", "when (UTC)", "what", "change", "by", "reason"), rows, right=(0,))


def _step(event: AuditEvent) -> str:
    if event.to_level is None:
        return _safe(event.subject)
    before = f"{event.from_level.value} → " if event.from_level else ""
    meant = event.subject or event.scope
    what = f"{_safe(meant)}: " if meant else ""
    return f"{what}{before}{event.to_level.value}"


def _trust(trail: Trail) -> list[str]:
    found = trail.verification
    state = (
        f"The audit trail of {found.events} events is intact; its end is event "
        f"{found.head.sequence} with the digest `{found.head.digest}`."
        if found.intact
        else f"**The audit trail is damaged**: {_safe(found.problem)}"
    )
    return [
        state,
        "Each event names the digest of the one before it, so that changing, removing or moving "
        "one is found. Someone who can write the folder could still write the whole trail anew; "
        "keep this page elsewhere: its digest shows that, and an end cut off.",
        f"A record of {trail.total_episodes} episodes bounds the true intervention rate, it does "
        f"not prove it to be zero: up to {trail.intervention_rate_upper:.1%} is compatible "
        "with it at 95%.",
    ]


def _curve(frame: "pl.DataFrame") -> tuple[dict[str, JsonValue], ...]:
    """Return the running intervention rate with its bound, thinned to 200 points."""
    total, touched = 0, 0
    points: list[dict[str, JsonValue]] = []
    every = max(1, frame.height // 200)
    for count in frame["interventions"]:
        total, touched = total + 1, touched + (count > 0)
        if total % every == 0 or total == frame.height:
            points.append(
                {
                    "episode": total,
                    "rate": touched / total,
                    "bound": at_most(touched, total),
                }
            )
    return tuple(points)


def _recent(row: Mapping[str, Any]) -> dict[str, JsonValue]:
    return {
        "id": row["episode_id"],
        "title": row["title"],
        "started_at": row["started_at"].isoformat(),
        "human_intervention_count": row["interventions"],
        "constitutional_score": row["constitutional_score"],
        "success": row["passed"],
        "rehearsal": row["rehearsal"],
    }


def _table(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()
) -> str:
    rule = ["---:" if index in right else "---" for index in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _safe(text: str) -> str:
    """Keep what an agent or a person wrote from becoming markup."""
    flat = " ".join(text.split())
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
