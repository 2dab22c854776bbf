"""What a run of a remote home needs of other machines, and what it leaves for them.

Ledger, journal, results, workspace and audit trail are level with storage by themselves. The rest
of a run's folder is brought here as the run begins, and put into storage as it ends.
"""

from grindstone.home import Home
from grindstone.llm.journal import CALLS

OWN = ("journal", "results", "slices", "attempts")
"""Folders of a run that look after themselves, or concern one machine."""


def bring_here(home: Home, run_key: str) -> None:
    """Have the people's own files and the run's folder here, as storage has them.

    Raises:
        InfrastructureError: The storage did not answer.
    """
    if home.mirror is None:
        return
    bring_rules(home)
    home.mirror.pull(home.routed)
    home.mirror.pull(home.run(run_key).root, _shown)


def bring_rules(home: Home) -> None:
    """Have what people say of the agents here: approvers, policies, rule packs, edge cases.

    Raises:
        InfrastructureError: The storage did not answer.
    """
    if home.mirror is None:
        return
    bring_approvers(home)
    for folder in (home.policies, home.constitution):
        home.mirror.level(folder)
    home.mirror.pull(home.edge_cases)


def bring_approvers(home: Home) -> None:
    """Have the list here of who may answer, as storage has it.

    Raises:
        InfrastructureError: The storage did not answer.
    """
    if home.mirror is not None and not home.mirror.refresh(home.approvers):
        home.approvers.unlink(missing_ok=True)


def show_elsewhere(home: Home, run_key: str) -> None:
    """Put the run's report, plots and whatever else it wrote into storage.

    Raises:
        InfrastructureError: The storage did not take it.
    """
    if home.mirror is not None:
        home.mirror.push(home.run(run_key).root, _shown)


def _shown(name: str) -> bool:
    first, *rest = name.split("/")
    return not (first == "lock" or (rest and first in OWN) or CALLS in name)
