"""A run's key, when nobody gave one."""

from prefect.context import FlowRunContext

from grindstone.runs.plan import new_run_key


def run_key_of(kind: str, given: str | None) -> str:
    """Return the key a run goes by.

    The run of a deployment is known by its flow run: *Retry* in the UI is the same flow run
    again and so goes on with the run, *Copy to new run* is another. Any other run gets a new key.

    Args:
        kind: grind, adapt, gate, …
        given: The user's own choice.
    """
    if given:
        return given
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or run.created is None:
        return new_run_key(kind)
    return f"{kind}-{run.created:%Y%m%d-%H%M%S}-{run.id.hex[-8:]}"
