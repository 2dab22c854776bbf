"""Four levels of autonomy, four classes of action, and which permits which."""

from enum import IntEnum, StrEnum
from types import MappingProxyType

from grindstone.errors import InputError


class Level(StrEnum):
    """How far an agent, a capability or a skill is trusted to act alone."""

    STUDENT = "STUDENT"
    INTERN = "INTERN"
    SUPERVISED = "SUPERVISED"
    AUTONOMOUS = "AUTONOMOUS"

    @property
    def rank(self) -> int:
        """0 for STUDENT to 3 for AUTONOMOUS."""
        return ORDER.index(self)

    @property
    def above(self) -> "Level | None":
        """The next level up; None at the top."""
        return ORDER[self.rank + 1] if self.rank + 1 < len(ORDER) else None

    @property
    def below(self) -> "Level | None":
        """The next level down; None at the bottom."""
        return ORDER[self.rank - 1] if self.rank else None

    @classmethod
    def parse(cls, value: str, where: str = "maturity") -> "Level":
        """Return the level of that name, in any case.

        Raises:
            InputError: There is none.
        """
        try:
            return cls(value.strip().upper())
        except ValueError:
            raise InputError(
                where, f"is {value!r}", f"one of {', '.join(level.value for level in ORDER)}"
            ) from None


ORDER: tuple[Level, ...] = tuple(Level)


def lower_of(one: Level, other: Level) -> Level:
    """Return the less trusted of two levels."""
    return min(one, other, key=lambda level: level.rank)


class ActionClass(IntEnum):
    """Actions by what they can do, from harmless to anything."""

    PRESENT = 1
    """Presentations and reads: nothing outside changes."""
    STREAM = 2
    """Streaming, and forms shown to a person who submits them."""
    CHANGE = 3
    """Form submissions and state changes."""
    ANYTHING = 4
    """Everything else, a shell above all."""


class Permission(StrEnum):
    """What an agent may do with a tool."""

    ALLOWED = "allowed"
    NEEDS_APPROVAL = "needs_approval"
    FORBIDDEN = "forbidden"


CEILING: MappingProxyType[Level, ActionClass] = MappingProxyType(
    {
        Level.STUDENT: ActionClass.PRESENT,
        Level.INTERN: ActionClass.STREAM,
        Level.SUPERVISED: ActionClass.CHANGE,
        Level.AUTONOMOUS: ActionClass.ANYTHING,
    }
)
"""The highest class a level reaches (the graduation guide's table of maturity levels)."""


def permission(level: Level, action: ActionClass) -> Permission:
    """Return what a level may do with an action; SUPERVISED asks before it changes anything."""
    if action > CEILING[level]:
        return Permission.FORBIDDEN
    if level is Level.SUPERVISED and action is ActionClass.CHANGE:
        return Permission.NEEDS_APPROVAL
    return Permission.ALLOWED
