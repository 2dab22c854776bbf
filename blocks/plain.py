"""What all blocks have in common: a form that a person can fill in."""

from typing import Any

from prefect.blocks.core import Block, schema_extra
from pydantic import BaseModel, ConfigDict, model_validator

from grindstone.settings import title
from grindstone.settings.form import plain_fields


def _plainly(schema: dict[str, Any], model: type[Block]) -> None:
    """Do what Prefect does to a block's schema, and have each field be of one type in it.

    A value that may be none is drawn as two, of which one is the word None.
    """
    schema_extra(schema, model)
    schema["properties"] = plain_fields(schema)


class PlainForm(BaseModel):
    """A block whose optional fields are left empty, not set to None. Stands behind `Block`."""

    model_config = ConfigDict(json_schema_extra=_plainly, field_title_generator=title)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_none(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        optional = {name for name, info in cls.model_fields.items() if info.default is None}
        return {
            name: None if value == "" and name in optional else value
            for name, value in given.items()
        }
