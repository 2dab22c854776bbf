"""Steps that write a task's own skill, or learn from a success."""

from pathlib import Path

from grindstone.base import Frozen
from grindstone.settings import GrindSettings
from grindstone.workspace import Snapshot


class StepSpec(Frozen):
    home: Path
    run_key: str
    base: Snapshot
    settings: GrindSettings
    task_id: str
    task_dir: Path
    batch: int
    cycle: int


async def write_task_skill(spec: StepSpec, model_id: str) -> Snapshot:
    return spec.base


async def evolve_task_skill(spec: StepSpec, episode_id: str, model_id: str) -> Snapshot:
    return spec.base


async def learn_from_success(spec: StepSpec, episode_id: str, model_id: str) -> Snapshot:
    return spec.base
