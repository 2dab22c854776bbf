"""An attempt at a bundled task as a run describes it to whoever makes it."""

from typing import Any

from grindstone.attempt.spec import AttemptSpec, SolverSettings
from grindstone.benchmark import load_task
from grindstone.records import Purpose
from grindstone.resources import bundled
from grindstone.runs.plan import open_workspace
from grindstone.settings import RunSettings


def spec_of(settings: RunSettings, task_id: str = "crlf-kit", **more: Any) -> AttemptSpec:
    """Describe an attempt of a run with the rehearsal's model in bubblewrap."""
    base = open_workspace(settings).snapshot()
    task = load_task(bundled("examples/tasks") / task_id)
    return AttemptSpec(
        home=settings.home.root,
        run_key=settings.run_key,
        agent_id=settings.agent_id,
        purpose=Purpose.GRIND,
        task_id=task.task_id,
        task_dir=task.path,
        task_digest=task.digest,
        workspace_commit=base.commit,
        workspace_tree=base.tree,
        solver=SolverSettings.of(settings, model_id="rehearsal", sandbox="bubblewrap"),
        **more,
    )
