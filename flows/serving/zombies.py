"""Flow runs on machines where nobody looks: one that shows no sign of life is set to Crashed.

On its own machine a server sees whose process is gone (`liveness.py`). Of runs elsewhere it
knows by the heartbeats that Prefect's runs send, three minutes apart.
"""

from datetime import timedelta

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events import ResourceSpecification
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture

from grindstone.tasks.events import HEARTBEAT
from grindstone.tasks.flow_runs import NOT_PASSED

NAME = "grindstone: runs that show no sign of life"
WITHIN_S = 600.0
"""Three heartbeats missed, and a server that was away for a while."""

_ENDS = (
    *("Completed", NOT_PASSED, "Failed", "Crashed", "Cancelled"),
    *("Suspended", "AwaitingRetry", "Scheduled"),
)


def watch_over_zombies(client: SyncPrefectClient, *, within_s: float = WITHIN_S) -> bool:
    """Have the server close runs whose heartbeats stop; return whether it is new there.

    One that is there is the user's, switched off or changed or not.

    Args:
        client: Of the server.
        within_s: How long after a heartbeat the next one, or an end, is waited for.
    """
    if client.read_automations_by_name(NAME):
        return False
    client.create_automation(
        AutomationCore(
            name=NAME,
            description="Sets a run to Crashed whose process sends no heartbeat any more.",
            trigger=EventTrigger(
                after={HEARTBEAT},
                expect={HEARTBEAT, *(f"prefect.flow-run.{end}" for end in _ENDS)},
                match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=within_s),
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED, message="It showed no sign of life any more."
                )
            ],
        )
    )
    return True
