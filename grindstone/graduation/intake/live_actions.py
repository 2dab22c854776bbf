"""Live actions in the ledger: written down before they run, closed when they have ended.

What was begun and never ended was cut off with its process; the ledger still names it.
"""

import asyncio
from collections.abc import Mapping

from pydantic import JsonValue

from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.llm.messages import ToolUse

DETAIL_CHARS = 2_000
OVER_TIME = "over time"
"""Status of an action that did not return in time: whether it was done is not known."""


class LiveActions:
    """Keeps the actions of one live task.

    Args:
        registry: The ledger and the clock.
        episode_id: The task's.
        run_key: The run the episode is kept in.
        agent_id: Who acts.
    """

    def __init__(self, registry: Registry, *, episode_id: str, run_key: str, agent_id: str) -> None:
        self._registry = registry
        self._run_key = run_key
        self._episode_id, self._agent_id = episode_id, agent_id
        self._begun: list[LiveActionRow] = []

    async def begin(self, use: ToolUse, *, level: Level, capability: str) -> int:
        """Write an action down before it runs; return its position.

        Raises:
            InfrastructureError: The ledger cannot be written; the action must not run.
        """
        arguments: Mapping[str, JsonValue] = use.input
        row = LiveActionRow(
            episode_id=self._episode_id,
            position=len(self._begun),
            phase="begun",
            agent_id=self._agent_id,
            tool=use.name,
            arguments=dict(arguments),
            level=level.value,
            capability=capability,
            at=self._registry.clock(),
        )
        self._begun.append(row)
        await asyncio.to_thread(self._keep, row)
        return row.position

    def end(self, position: int, *, status: str, detail: str) -> None:
        """Close an action; does not wait, for it is also called while a task is being ended."""
        begun = self._begun[position]
        self._keep(
            begun.model_copy(
                update={
                    "phase": "ended",
                    "status": status,
                    "detail": detail[:DETAIL_CHARS],
                    "at": self._registry.clock(),
                }
            )
        )

    def _keep(self, row: LiveActionRow) -> None:
        self._registry.ledger.append([row], run_key=self._run_key)
