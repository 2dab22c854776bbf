"""Rule packs: what a domain asks of an agent's work, as a YAML file."""

import re
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, FiniteFloat, ValidationError, field_validator, model_validator

from grindstone.base import Frozen, PlainNumbers
from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.graduation.constitution.deeds import Deed
from grindstone.graduation.constitution.facts import Facts, load_facts
from grindstone.graduation.constitution.identifiers import Kind
from grindstone.graduation.constitution.knowledge import FUNCTIONS, Knowledge
from grindstone.graduation.constitution.matching import refuse_unusable
from grindstone.graduation.constitution.sales_tax import Aspect
from grindstone.graduation.rules.files import input_error, read_yaml, rule_files
from grindstone.resources import bundled

Severity = Literal["critical", "major", "minor"]
Where = Literal["said", "done", "anywhere"]
Text = TypeVar("Text", str, str | None)


def _pattern(value: Text) -> Text:
    if value:
        refuse_unusable(value)
    return value


def _telling(value: Text) -> Text:
    """Refuse a pattern that any text has, and so says nothing of it."""
    _pattern(value)
    if value is not None and re.search(value, ""):
        raise ValueError(f"{value!r} is found in any text, the empty one too")
    return value


class Base(Frozen, PlainNumbers):
    """What every rule says of itself."""

    id: str = Field(pattern=r"^\S(.*\S)?$")
    title: str
    severity: Severity = "major"
    source: str = Field("", description="Law, standard or house rule it comes from.")


class NumericRule(Base):
    """A number in the work equals what the facts give, or a constant."""

    kind: Literal["numeric"]
    values: tuple[str, ...] = Field((), description="Fields that hold the number.")
    amount: tuple[str, ...] = Field((), description="Fields of an amount; with `base`, a ratio.")
    base: tuple[str, ...] = ()
    text: str | None = Field(None, description="Pattern with a group `value`, for free text.")
    scale: FiniteFloat = Field(
        1.0, gt=0.0, description="What the text's number is multiplied with."
    )
    expected: FiniteFloat | None = None
    function: str | None = Field(None, description="Computes the expectation from the facts.")
    arguments: dict[str, tuple[str, ...]] = Field(
        {}, description="Argument → fields that name it; names in the text do as well."
    )
    kinds: dict[str, str] = Field({}, description="Argument → kind of node it is.")
    optional: tuple[str, ...] = Field((), description="Arguments that may stay unknown.")
    tolerance: FiniteFloat = Field(0.0005, ge=0.0)

    @field_validator("text")
    @classmethod
    def _has_group(cls, value: str | None) -> str | None:
        if value is not None and "value" not in re.compile(_pattern(value)).groupindex:
            raise ValueError("has no group (?P<value>…)")
        return value

    @field_validator("function")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        if value is not None and value not in FUNCTIONS:
            raise ValueError(f"is unknown; there is {', '.join(FUNCTIONS)}")
        return value

    @model_validator(mode="after")
    def _decides(self) -> "NumericRule":
        if bool(self.amount) != bool(self.base):
            raise ValueError("amount and base make a ratio together; one is missing")
        if not (self.values or self.amount or self.text):
            raise ValueError("there is no number to look at: give values, amount and base, or text")
        if (self.expected is None) == (self.function is None):
            raise ValueError("give one of expected and function")
        known = FUNCTIONS[self.function].arguments if self.function else ()
        needed = known[:1]
        if set(self.arguments) - set(known) or not set(needed) <= set(self.arguments):
            said = f"{self.function} takes {', '.join(known)}" if known else "there is no function"
            raise ValueError(f"arguments: {said}" + (f", and needs {needed[0]}" if needed else ""))
        for name, given in (("kinds", set(self.kinds)), ("optional", set(self.optional))):
            if stray := given - set(self.arguments):
                raise ValueError(f"{name}: {min(stray)} is no argument of the rule")
        return self


class PatternRule(Base):
    """A pattern that must not, or must, be found in what the agent said or did."""

    kind: Literal["pattern"]
    pattern: str
    must: Literal["not_appear", "appear"] = "not_appear"
    where: Where = "anywhere"
    tools: str | None = Field(None, min_length=1, description="Only in calls of tools like this.")

    _compiles = field_validator("tools")(_pattern)
    _tells = field_validator("pattern")(_telling)


class RequiredStepRule(Base):
    """A step that must have been taken, before another where one is named."""

    kind: Literal["required_step"]
    step: str = Field(description="Pattern of the step's tool, arguments or words.")
    before: str | None = Field(None, description="Pattern of what it must come before.")

    _tells = field_validator("step", "before")(_telling)


class ForbiddenActionRule(Base):
    """A call that must not be made."""

    kind: Literal["forbidden_action"]
    tool: str = Field(".*", min_length=1, description="Pattern of the whole tool name.")
    arguments: str = Field(".*", description="Pattern found in the arguments.")
    unless: str | None = Field(None, description="Pattern of an earlier step that allows it.")

    _compiles = field_validator("tool", "arguments")(_pattern)
    _tells = field_validator("unless")(_telling)


class SalesTaxRule(Base):
    """What is charged on a sale, at any depth of a call or in words, fits the facts."""

    kind: Literal["sales_tax"]
    aspect: Aspect = Field(description="Rates in fields, amounts to the cent, or rates in words.")


class IdentifierRule(Base):
    """No identifier of a patient leaves the house."""

    kind: Literal["identifier"]
    finds: Kind


class RecipientRule(Base):
    """Records are sent to nobody outside the house."""

    kind: Literal["recipient"]
    unless: str | None = Field(None, description="Pattern of a step up to it that allows it.")

    _tells = field_validator("unless")(_telling)


class ShellRule(Base):
    """A deed no script may do, found by parsing the scripts an agent runs."""

    kind: Literal["shell"]
    finds: Deed


class JudgedRule(Base):
    """A question only a reader can answer; asked of a model."""

    kind: Literal["judged"]
    question: str = Field(min_length=1, description="Asks whether the rule was violated.")


Rule = Annotated[
    NumericRule
    | SalesTaxRule
    | PatternRule
    | RequiredStepRule
    | ForbiddenActionRule
    | IdentifierRule
    | RecipientRule
    | ShellRule
    | JudgedRule,
    Field(discriminator="kind"),
]


class RulePack(Frozen, PlainNumbers):
    """A domain's rules.

    A pack applies when the agent's policy names it, when whoever filed the episode labelled it
    with the pack's domain, or always. A wrong or missing label keeps no demanded pack away.
    `signs` found in what an episode says only suggest a pack: a judge is asked whether the
    episode is of its field, and without a judge nothing comes of them.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str
    about: str = ""
    always: bool = False
    domains: tuple[str, ...] = ()
    signs: tuple[str, ...] = Field((), description="Patterns that suggest the domain, any case.")
    facts: tuple[str, ...] = Field((), description="Facts files beside the pack.")
    rules: tuple[Rule, ...] = Field(min_length=1)

    @field_validator("signs")
    @classmethod
    def _compile(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_telling(each) for each in value)

    @model_validator(mode="after")
    def _is_whole(self) -> "RulePack":
        ids = [rule.id for rule in self.rules]
        if twice := {each for each in ids if ids.count(each) > 1}:
            raise ValueError(f"rules: two are called {min(twice)}")
        for rule in self.rules:
            asks = isinstance(rule, SalesTaxRule) or (
                isinstance(rule, NumericRule) and rule.function is not None
            )
            if asks and not self.facts:
                raise ValueError(f"facts: {rule.id} asks the facts, and the pack names none")
        for one, other in combinations(self.rules, 2):
            if _contradict(one, other):
                raise ValueError(f"rules: nothing meets both {one.id} and {other.id}")
        return self


def _contradict(one: "Rule", other: "Rule") -> bool:
    """Tell whether two rules ask for the opposite in the same words, or of the same field."""
    if isinstance(one, PatternRule) and isinstance(other, PatternRule):
        both = (one.pattern, one.tools, one.where) == (other.pattern, other.tools, other.where)
        return both and one.must != other.must
    if isinstance(one, NumericRule) and isinstance(other, NumericRule):
        if one.expected is None or other.expected is None or not {*one.values} & {*other.values}:
            return False
        return abs(one.expected - other.expected) > one.tolerance + other.tolerance
    return False


class Pack(Frozen):
    """A rule pack with its facts; its digest covers both."""

    rules: RulePack
    facts: tuple[Facts, ...] = ()

    @property
    def name(self) -> str:
        """The pack's name."""
        return self.rules.name

    @cached_property
    def digest(self) -> str:
        """The pack by content."""
        return digest(self)

    @cached_property
    def knowledge(self) -> Knowledge:
        """The graph of its facts."""
        return Knowledge(*self.facts)


def load_pack(path: Path) -> Pack:
    """Read a rule pack and the facts it names.

    Raises:
        InputError: A file cannot be used; names the field and what was expected.
    """
    try:
        rules = RulePack.model_validate(read_yaml(path))
    except ValidationError as error:
        raise input_error(path, error, "a rule pack as docs/graduation.md describes it") from error
    return Pack(rules=rules, facts=tuple(load_facts(path.parent / name) for name in rules.facts))


def load_packs(folder: Path | None = None) -> dict[str, Pack]:
    """Read a folder of packs (`*.yaml`; facts lie in `facts/`), by name; the bundled ones else.

    Raises:
        InputError: A file cannot be used, or two packs share a name.
    """
    root = folder or bundled("examples/constitution")
    packs = [load_pack(path) for path in rule_files(root, "rule packs")]
    names = [pack.name for pack in packs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(str(root), f"two packs are called {min(twice)}", "one of each name")
    return {pack.name: pack for pack in packs}
