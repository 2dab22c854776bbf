"""`grindstone audit`: the trail of all decisions about autonomy."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.flows.cli.home import AgentId, ScopeName, WorkDir, host_path, with_record
from grindstone.flows.cli.output import JsonFlag, emit, finish, say
from grindstone.home import Home

if TYPE_CHECKING:
    from grindstone.graduation.intake.under_way import CutOffAction

HOME = Path("evolution_workdir")


class Form(StrEnum):
    """How a trail is written."""

    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(name="audit", help="The trail of all decisions about autonomy.")
    group.command("verify")(verify)
    group.command("trail")(trail)
    group.command("export")(export)
    group.command("keys")(keys)
    group.command("sign")(sign)
    group.command("bundle")(bundle)
    group.command("answer")(answer)
    group.command("correct")(correct)
    group.command("rate")(rate)
    group.command("import")(import_episodes)
    app.add_typer(group)


def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(help="An end noted earlier and kept elsewhere, as number:digest."),
    ] = None,
    public_key: Annotated[
        Path | None, host_path(help="PEM file; checkpoints must bear its signature.")
    ] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Compare the rows that each promotion counted too.")
    ] = False,
    bundle: Annotated[
        Path | None,
        host_path(help="A folder made by `audit bundle`: check that, and no home."),
    ] = None,
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Check every event; name the first that was changed, removed or reordered.

    With `--evidence` every row deleted, added or changed since a promotion counted it is named.
    Live actions that were begun and never closed are told in any case, and so are edge cases that
    were added and are gone, which is not intact.
    Exit code 0: intact; 1: not; 2: unusable input.
    """
    from grindstone.graduation.audit.chain import Chain
    from grindstone.graduation.audit.verify import parse_anchor
    from grindstone.graduation.audit.verify import verify as check
    from grindstone.text import count

    if bundle is not None:
        _verify_bundle(bundle, public_key, as_json=as_json)
        return
    found = check(
        Chain(work_dir.absolute()),
        anchors=[parse_anchor(text) for text in anchor or ()],
        public_key=public_key,
    )
    end = f"{found.head.sequence}:{found.head.digest}"
    text = (
        f"Intact: {count(found.events, 'event')}. Keep this end elsewhere, to check against: {end}"
        if found.intact
        else f"NOT INTACT at {found.first_bad}: {found.problem}"
    )
    document, lines, intact = found.model_dump(mode="json"), [text, *found.notes], found.intact
    cut_off = _cut_off(work_dir)
    document["cut_off"] = [each.row.model_dump(mode="json") for each in cut_off]
    lines += map(str, cut_off)
    if intact:
        gone = _gone(work_dir)
        document["gone_cases"] = list(gone)
        lines += [f"Edge case {name} was added, and is no longer in the home." for name in gone]
        intact = not gone
    if evidence and intact:
        from grindstone.graduation.audit.evidence_check import check_evidence
        from grindstone.graduation.registry import open_desk

        registry = open_desk(work_dir.absolute())
        rows = check_evidence(registry, registry.chain.events())
        document["evidence"] = rows.model_dump(mode="json")
        intact = rows.intact
        lines += rows.lines() or ["No promotion rests on rows yet."]
    emit(document, as_json=as_json, text="\n".join(lines))
    finish(intact)


def _gone(work_dir: Path) -> tuple[str, ...]:
    from grindstone.graduation.decisions.exam_pool import gone_cases
    from grindstone.graduation.registry import open_desk

    registry = open_desk(work_dir.absolute())
    return gone_cases(registry, registry.chain.events())


def _cut_off(work_dir: Path) -> "tuple[CutOffAction, ...]":
    from grindstone.graduation.intake.under_way import cut_off_actions
    from grindstone.graduation.registry import open_desk

    return cut_off_actions(open_desk(work_dir.absolute()))


def _verify_bundle(folder: Path, public_key: Path | None, *, as_json: bool) -> None:
    from grindstone.graduation.audit.bundle import verify_bundle

    found = verify_bundle(folder, public_key)
    state = f"VALID: {found.claim}" if found.valid else f"NOT VALID: {'; '.join(found.problems)}"
    emit(found, as_json=as_json, text="\n".join([state, *found.notes]))
    finish(found.valid)


def bundle(
    promotion: Annotated[int, typer.Argument(help="The promotion's number in the trail.", min=1)],
    key: Annotated[Path, host_path(help="The private key's PEM file.")],
    output: Annotated[
        Path | None, host_path(help="Folder to make. Empty: beside the trail.")
    ] = None,
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Write a promotion with all it rests on as a folder that others can check by themselves."""
    from grindstone.graduation.audit.bundle import write_bundle
    from grindstone.graduation.registry import open_desk

    registry = open_desk(work_dir.absolute())
    own = registry.home.reports / f"promotion-{promotion:06d}"
    folder = write_bundle(registry, promotion, key, output or own)
    if output is None:
        _put(registry.home, folder)
    emit({"path": str(folder)}, as_json=as_json, text=str(folder))


def answer(
    agent_id: AgentId,
    target: Annotated[str, typer.Option("--to", help="The level asked about.")],
    by: Annotated[str, typer.Option(help="Who answers.")],
    refuse: Annotated[bool, typer.Option("--refuse", help="Say no.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it goes into the trail.")] = "",
    key: Annotated[
        Path | None, host_path(help="The approver's private key (PEM), where it has one.")
    ] = None,
    scope: ScopeName = None,
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Approve or refuse a promotion; `grindstone promote` counts the answers.

    A refusal stands until there are newer episodes.
    """
    from grindstone.graduation import GraduationService
    from grindstone.graduation.audit.signing import sign_message
    from grindstone.graduation.decisions.approval import since_digest
    from grindstone.graduation.rules.levels import Level
    from grindstone.graduation.rules.people import answer_message

    service = with_record(GraduationService(work_dir.absolute()), agent_id)
    level = Level.parse(target, "--to")
    agent = service.registry.agent(agent_id, scope)
    name = service.registry.person(by, "approve", agent_id, "--by", scope=agent.scope).name
    since, said = since_digest(agent, name), not refuse
    message = answer_message(
        agent_id, level.value, approved=said, by=name, since=since, scope=agent.scope
    )
    event = service.sync.answer_proposal(
        agent_id,
        level,
        approved=said,
        by=name,
        reason=reason,
        channel="cli",
        signature=sign_message(key, message)[0] if key else "",
        scope=agent.scope,
    )
    verb = "approved" if said else "refused"
    emit(event, as_json=as_json, text=f"{name} {verb} it: event {event.sequence}.")


def correct(
    episode_id: Annotated[str, typer.Argument(help="The episode's id, or its start.")],
    field: Annotated[str, typer.Option(help="What was wrong, such as tax_rate.")],
    by: Annotated[str, typer.Option(help="Who corrects it.")],
    original: Annotated[str, typer.Option(help="What the agent gave.")] = "",
    correction: Annotated[str, typer.Option(help="What is right.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Keep a correction of an agent's work; it counts in its intervention rate at once."""
    from grindstone.graduation import GraduationService
    from grindstone.graduation.rules.people import named_human

    episode_id = _whole(work_dir, episode_id)
    GraduationService(work_dir.absolute()).sync.record_intervention(
        episode_id,
        field=field,
        original=original,
        correction=correction,
        reason=reason,
        corrected_by=named_human(by, "--by"),
    )
    kept = {"episode_id": episode_id, "field": field, "by": by}
    emit(kept, as_json=as_json, text=f"{field} of {episode_id}: kept.")


def rate(
    episode_id: Annotated[str, typer.Argument(help="The episode's id, or its start.")],
    stars: Annotated[float, typer.Option(help="Of five.", min=0, max=5)],
    by: Annotated[str, typer.Option(help="Who rates it.")],
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Keep a rating of an agent's work; four stars or more are good."""
    from grindstone.graduation import GraduationService
    from grindstone.graduation.rules.people import named_human

    episode_id = _whole(work_dir, episode_id)
    GraduationService(work_dir.absolute()).sync.rate_episode(
        episode_id, stars=stars, rated_by=named_human(by, "--by"), comment=comment
    )
    kept = {"episode_id": episode_id, "stars": stars, "by": by}
    emit(kept, as_json=as_json, text=f"{stars:g} of five stars for {episode_id}: kept.")


def _whole(work_dir: Path, start: str) -> str:
    """Return the id of the one attempt that is named by the start of it."""
    from grindstone.ledger import Ledger
    from grindstone.ledger.recall import one_of
    from grindstone.records import Episode

    return one_of(Ledger(work_dir.absolute()).rows(Episode), start, "episode_id").episode_id


def trail(
    agent_id: AgentId = "skillbench",
    scope: ScopeName = None,
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Show an agent's trail: record, readiness, latest episodes, decisions."""
    from grindstone.graduation import GraduationService
    from grindstone.graduation.audit.trail import to_markdown

    found = with_record(GraduationService(work_dir.absolute()), agent_id).sync.trail(
        agent_id, scope
    )
    emit(found.documented(), as_json=as_json, text=to_markdown(found))


def export(
    agent_id: AgentId = "skillbench",
    form: Annotated[Form, typer.Option("--format", help="json, md or html.")] = Form.HTML,
    output: Annotated[Path | None, host_path(help="Where to. Empty: beside the trail.")] = None,
    scope: ScopeName = None,
    work_dir: WorkDir = HOME,
) -> None:
    """Write an agent's trail as a file for a board, a regulator or a program."""
    from grindstone.files import write_atomic
    from grindstone.graduation import GraduationService
    from grindstone.graduation.audit.trail import to_html, to_markdown

    home = Home.at(work_dir)
    found = with_record(GraduationService(home), agent_id).sync.trail(agent_id, scope)
    content = {
        Form.JSON: lambda: json.dumps(found.documented(), indent=2, ensure_ascii=False) + "\n",
        Form.MARKDOWN: lambda: to_markdown(found),
        Form.HTML: lambda: to_html(found),
    }[form]()
    path = output or home.graduation_report(agent_id, form.value)
    write_atomic(path, content)
    if output is None:
        _put(home, path)
    emit({"path": str(path)}, as_json=False, text=str(path))


def _put(home: Home, path: Path) -> None:
    """Put a report of a remote home into storage, too: this machine's folder may go."""
    if (mirror := home.mirror) is not None:
        mirror.push(path) if path.is_dir() else mirror.write(path, path.read_bytes())
        say(f"In storage: {mirror.store.url}/{mirror.name_of(path)}")


def keys(private_key: Annotated[Path, typer.Argument(help="File to make.")]) -> None:
    """Make an ed25519 key pair; keep the private half where the trail's writers cannot."""
    from grindstone.graduation.audit.signing import make_keys

    say(f"Public half: {make_keys(private_key)}")


def sign(
    key: Annotated[Path, host_path(help="The private key's PEM file.")],
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Sign the trail's present end: one signature covers every event before it."""
    from grindstone.graduation.audit.chain import Chain
    from grindstone.graduation.audit.signing import sign_end

    point = sign_end(Chain(work_dir.absolute()), key)
    plain = point.model_dump(mode="json") if point else None
    text = f"Signed up to event {point.sequence}." if point else "There was nothing new to sign."
    emit({"checkpoint": plain}, as_json=as_json, text=text)


def import_episodes(
    path: Annotated[Path, typer.Argument(help="A .jsonl or .parquet file.")],
    by: Annotated[str, typer.Option(help="Who imports it.")],
    work_dir: WorkDir = HOME,
    as_json: JsonFlag = False,
) -> None:
    """Take over another system's episodes: the whole file, or nothing and why.

    Exit code 0: all rows are in; 1: a row was refused and none is in; 2: no readable file.
    """
    from grindstone.graduation import GraduationService

    report = GraduationService(work_dir.absolute()).sync.import_episodes(path, by=by)
    lines = [f"{report.imported} of {report.rows} rows imported."]
    lines += [f"row {item.row}: {item.field or 'row'}: {item.problem}" for item in report.refused]
    emit(report, as_json=as_json, text="\n".join(lines))
    finish(report.accepted)
