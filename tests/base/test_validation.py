"""Sentences about wrong values: what is there, what was expected, all of them at once."""

import pickle
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from grindstone.errors import InputError
from grindstone.settings import AdaptiveSettings, CompetencySettings, GrindSettings
from grindstone.validation import faults


class Sizes(BaseModel):
    model_config = {"extra": "forbid"}

    count: int = Field(1, ge=1, le=9)
    share: float = Field(0.5, gt=0, lt=1)
    name: Annotated[str, Field(pattern=r"^[A-Z]+$")] = "A"
    kind: Literal["one", "two", "three"] = "one"
    really: bool = True
    table: dict[str, int] = {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": "soon"}, "count is 'soon', a whole number"),
        ({"count": 0}, "count is 0, at least 1"),
        ({"count": 10}, "count is 10, at most 9"),
        ({"share": "x"}, "share is 'x', a number"),
        ({"share": 0}, "share is 0, more than 0"),
        ({"share": 1}, "share is 1, less than 1"),
        ({"name": "a"}, "name is 'a', text of the form ^[A-Z]+$"),
        ({"name": 1}, "name is 1, text"),
        ({"kind": "four"}, "kind is 'four', one of one, two or three"),
        ({"really": "perhaps"}, "really is 'perhaps', true or false"),
        ({"table": 1}, "table is 1, a table"),
        ({"table": {"a": "b"}}, "table.a is 'b', a whole number"),
        ({"other": 1}, "other is unknown, a name that is known here"),
    ],
)
def test_a_value_that_does_not_fit_is_told(given, said):
    with pytest.raises(ValidationError) as caught:
        Sizes(**given)
    (fault,) = faults(caught.value)
    assert f"{'.'.join(fault.place)} {fault.problem}, {fault.expected}" == said


def test_every_fault_is_told():
    with pytest.raises(ValidationError) as caught:
        Sizes(count=0, share=2, name="a")
    assert [fault.place for fault in faults(caught.value)] == [("count",), ("share",), ("name",)]


def test_errors_told_together_survive_pickling():
    error = InputError.together(
        [InputError("one", "is 1", "2"), InputError.together([InputError("two", "is 2", "3")])]
    )
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "one: is 1; expected 2\ntwo: is 2; expected 3"
    assert [each.where for each in again.each] == ["one", "two"]


@pytest.mark.parametrize("given", ["inf", "-inf", "nan"])
@pytest.mark.parametrize("settings", [GrindSettings, AdaptiveSettings, CompetencySettings])
def test_no_setting_takes_what_json_cannot_hold_but_the_ceiling_that_says_none(settings, given):
    numbers = [name for name, f in settings.model_fields.items() if "float" in str(f.annotation)]
    assert len(numbers) > 5
    for name in numbers:
        if (name, given) == ("max_cost_usd", "inf"):
            assert settings(max_cost_usd=given).model_dump(mode="json")[name] == "inf"
            continue
        with pytest.raises(ValidationError) as caught:
            settings(**{name: given})
        assert {fault.place for fault in faults(caught.value)} == {(name,)}
