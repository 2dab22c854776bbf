"""Saved blocks laid over a run's settings."""

import asyncio
import os
from typing import Any, TypeVar

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field

from grindstone.blocks.agent import AgentBlock
from grindstone.blocks.benchmark import BenchmarkBlock
from grindstone.blocks.ledger import LedgerBlock
from grindstone.blocks.model import ModelBlock
from grindstone.blocks.sandbox import SandboxBlock
from grindstone.blocks.workspace import WorkspaceBlock
from grindstone.errors import InputError
from grindstone.settings import RunSettings
from grindstone.spending import with_ceiling

S = TypeVar("S", bound=RunSettings)


class BlockNames(BaseModel):
    """Names of saved blocks; what a block decides takes the place of the setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(None, description="A Grindstone Model block: model and its key.")
    agent: str | None = Field(None, description="A Grindstone Agent block: who works.")
    sandbox: str | None = Field(None, description="A Grindstone Sandbox block.")
    benchmark: str | None = Field(None, description="A Grindstone Benchmark block.")
    workspace: str | None = Field(None, description="A Grindstone Workspace block.")
    ledger: str | None = Field(None, description="A Grindstone Ledger block.")


TYPES: dict[str, type[Block]] = {
    "model": ModelBlock,
    "agent": AgentBlock,
    "sandbox": SandboxBlock,
    "benchmark": BenchmarkBlock,
    "workspace": WorkspaceBlock,
    "ledger": LedgerBlock,
}


async def configure(settings: S, names: BlockNames) -> S:
    """Return the settings with every named block applied, and a ceiling where none is given.

    Raises:
        InputError: A named block is not saved.
    """
    decided: dict[str, Any] = {}
    for field in TYPES:
        name = getattr(names, field)
        if name is None:
            continue
        block = await _load(field, name)
        decided.update(
            (key, value)
            for key, value in block.settings().items()
            if key in type(settings).model_fields
        )
    settings = type(settings).model_validate(settings.model_dump() | decided)
    try:
        return await asyncio.to_thread(with_ceiling, settings, await credentials(names.model))
    except InputError:  # a model that cannot be used is told with everything else, by preflight
        return settings


async def credentials(model_block: str | None) -> dict[str, str]:
    """Return the environment models are reached with: the process's, and a block's over it."""
    environ = dict(os.environ)
    if model_block is not None:
        block = await _load("model", model_block)
        assert isinstance(block, ModelBlock)
        environ |= block.environ()
    return environ


async def _load(field: str, name: str) -> Any:
    block_type = TYPES[field]
    try:
        return await block_type.aload(name)
    except ValueError as error:
        expected = f"a saved {block_type._block_type_name} block"
        raise InputError(f"blocks.{field}", f"no block named {name!r}", expected) from error
