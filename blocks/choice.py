"""Saved blocks laid over a run's settings."""

import asyncio
import os
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from prefect.blocks.core import Block
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
)

from grindstone.blocks.agent import AgentBlock
from grindstone.blocks.benchmark import BenchmarkBlock
from grindstone.blocks.ledger import LedgerBlock
from grindstone.blocks.model import ModelBlock
from grindstone.blocks.sandbox import SandboxBlock
from grindstone.blocks.workspace import WorkspaceBlock
from grindstone.errors import InputError
from grindstone.settings import RunSettings, title
from grindstone.spending import with_ceiling
from grindstone.validation import faults

S = TypeVar("S", bound=RunSettings)


def _name_of(chosen: Any) -> Any:
    """Take the name of a block that was picked in a form, and of its secrets nothing."""
    return chosen._block_document_name if isinstance(chosen, Block) else chosen or None


class Picked:
    """Has a form offer the saved blocks of a type; stands in the annotation of a block's name."""

    def __init__(self, block_type: type[Block]) -> None:
        self.block_type = block_type

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return what the UI draws as a picker: a name, none, or the reference a picker makes."""
        picked = {"type": "object", "required": ["$ref"]}
        kinds = [{"type": "string"}, {"type": "null"}, picked]
        slug = self.block_type.get_block_type_slug()
        return {"block_type_slug": slug, "if": {}, "then": {"anyOf": kinds}}


_Name = Annotated[str | None, BeforeValidator(_name_of)]


class BlockNames(BaseModel):
    """Saved blocks; what one decides takes the place of the setting above."""

    model_config = ConfigDict(frozen=True, extra="forbid", field_title_generator=title)

    model: Annotated[_Name, Picked(ModelBlock)] = Field(
        None, description="A model and its credentials."
    )
    agent: Annotated[_Name, Picked(AgentBlock)] = Field(None, description="Who works.")
    sandbox: Annotated[_Name, Picked(SandboxBlock)] = Field(
        None, description="Where tasks run, and how many at once."
    )
    benchmark: Annotated[_Name, Picked(BenchmarkBlock)] = Field(None, description="Which tasks.")
    workspace: Annotated[_Name, Picked(WorkspaceBlock)] = Field(
        None, description="Whose workspace evolves."
    )
    ledger: Annotated[_Name, Picked(LedgerBlock)] = Field(
        None, description="Where everything is kept."
    )


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
        InputError: A named block is not saved, or holds what it cannot be used with.
    """
    decided: dict[str, Any] = {}
    by: dict[str, str] = {}
    for field in TYPES:
        name = getattr(names, field)
        if name is None:
            continue
        block = await _load(field, name)
        own = block.settings()
        taken = {key: own[key] for key in own if key in type(settings).model_fields}
        decided |= taken
        by |= dict.fromkeys(taken, f"blocks.{field}.")
    try:
        settings = type(settings).model_validate(settings.model_dump() | decided)
    except ValidationError as error:
        raise _told(error, lambda place: by.get(place, "")) from error
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
    except (ValidationError, RuntimeError) as error:
        cause = error if isinstance(error, ValidationError) else error.__cause__
        if not isinstance(cause, ValidationError):
            raise
        raise _told(cause, lambda _: f"blocks.{field}.") from error
    except ValueError as error:
        expected = f"a saved {block_type._block_type_name} block"
        raise InputError(f"blocks.{field}", f"no block named {name!r}", expected) from error


def _told(error: ValidationError, whose: Callable[[str], str]) -> InputError:
    """Return what is wrong with values, each under the name of the block that holds it.

    Args:
        error: What was found wrong.
        whose: Given a field, returns what its name begins with.
    """
    return InputError.together(
        [
            InputError(
                f"{whose(next(iter(fault.place), ''))}{'.'.join(fault.place)}" or "settings",
                fault.problem,
                fault.expected,
            )
            for fault in faults(error)
        ]
    )
