"""The profiles without a model: the reference solution, doing nothing, and cheating."""

from pathlib import Path

from grindstone.agents.protocol import Brief
from grindstone.agents.recorder import OnStep, Recorder
from grindstone.benchmark.cheating import ways
from grindstone.errors import InputError
from grindstone.llm.messages import Model
from grindstone.records import StepKind, StopReason, ToolCall, ToolOutput, Trajectory
from grindstone.sandbox.protocol import Sandbox

SOLUTION_PLACE = "/solution"
SOLVE_COMMAND = f"bash {SOLUTION_PLACE}/solve.sh"


class OracleSolver:
    """Runs the task's own solution; a sound task passes it."""

    def __init__(self, *, on_step: OnStep | None = None) -> None:
        self._on_step = on_step

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None = None) -> Trajectory:
        """Copy the solution in and run solve.sh within the attempt's time limit.

        Raises:
            InputError: The task brings no solution.
        """
        if brief.solution_dir is None or not (Path(brief.solution_dir) / "solve.sh").is_file():
            raise InputError(
                brief.task_id, "has no solution for the oracle", "a file solution/solve.sh"
            )
        record = Recorder(self._on_step)
        record.add(StepKind.USER, brief.instruction)
        await sandbox.copy_in(Path(brief.solution_dir), SOLUTION_PLACE)
        run = await sandbox.exec(
            SOLVE_COMMAND,
            timeout_s=brief.effort.time_limit_s,
            env={"DEBIAN_FRONTEND": "noninteractive", **brief.solution_env},
        )
        call = ToolCall(call_id="oracle", name="bash", arguments={"command": SOLVE_COMMAND})
        output = ToolOutput(
            call_id="oracle",
            content=run.output,
            is_error=run.exit_code != 0,
            exit_code=run.exit_code,
            timed_out=run.timed_out,
            duration_s=run.duration_s,
        )
        record.add(StepKind.AGENT, "", calls=(call,), outputs=(output,))
        return record.finish(StopReason.TIME_LIMIT if run.timed_out else StopReason.SUBMITTED)


class NopSolver:
    """Does nothing; a sound task fails it."""

    def __init__(self, *, on_step: OnStep | None = None) -> None:
        self._on_step = on_step

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None = None) -> Trajectory:
        """Return at once."""
        record = Recorder(self._on_step)
        record.add(StepKind.USER, brief.instruction)
        return record.finish(StopReason.SUBMITTED)


class CheaterSolver:
    """Tries the ways of `benchmark.cheating` that no sandbox concedes; a run must pay for none.

    The ways of one attempt share its sandbox, so one may undo another: `grindstone check --cheat`
    tries each alone.
    """

    def __init__(self, *, on_step: OnStep | None = None) -> None:
        self._on_step = on_step

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None = None) -> Trajectory:
        """Run one way after another within the attempt's time limit."""
        record = Recorder(self._on_step)
        record.add(StepKind.USER, brief.instruction)
        for way in ways():
            if way.conceded:
                continue
            run = await sandbox.exec(way.script, timeout_s=min(brief.effort.time_limit_s, 60.0))
            call = ToolCall(call_id=way.name, name="bash", arguments={"command": way.script})
            output = ToolOutput(
                call_id=way.name,
                content=run.output,
                exit_code=run.exit_code,
                timed_out=run.timed_out,
                duration_s=run.duration_s,
            )
            record.add(StepKind.AGENT, way.about, calls=(call,), outputs=(output,))
        return record.finish(StopReason.SUBMITTED)
