"""`grindstone demote`: a named human lowers an agent's level."""

from pathlib import Path
from typing import Annotated

import typer

from grindstone.flows.cli.environment import variable_names
from grindstone.flows.cli.home import AgentId, ScopeName, WorkDir, host_path, with_record
from grindstone.flows.cli.output import JsonFlag, emit


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demote")(demote)


def demote(
    agent_id: AgentId,
    level: Annotated[str, typer.Option("--to", help="The level it is lowered to.")],
    by: Annotated[str, typer.Option(help="The human who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit trail.")],
    work_dir: WorkDir = Path("evolution_workdir"),
    scope: ScopeName = None,
    signing_key: Annotated[
        Path | None,
        host_path(
            envvar=list(variable_names("signing_key")),
            show_envvar=False,
            help="ed25519 key (PEM) that signs the audit trail's end.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Lower an agent's level; a named human's word and a reason are enough.

    Exit code 0: demoted; 1: refused, the level is not a lower one; 2: unusable input.
    """
    from grindstone.graduation import GraduationService
    from grindstone.graduation.audit.signing import sign_end

    service = with_record(GraduationService(work_dir.absolute()), agent_id)
    change = service.sync.demote_agent(agent_id, level, by, reason, scope=scope)
    if signing_key is not None:
        sign_end(service.registry.chain, signing_key)
    where = f" in {change['scope']}" if change["scope"] else ""
    emit(
        change,
        as_json=as_json,
        text=f"{agent_id}{where}: {change['previous_maturity']} → {change['new_maturity']}, "
        f"event {change['event']}.",
    )
