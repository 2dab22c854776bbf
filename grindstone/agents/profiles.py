"""Which solver profiles there are: a new one is a module and a row of this table.

Settings, forms, the command line, prompts and the records of promotion read it, so it stands
below all of them: it names the modules of its solvers and imports nothing.
"""

from enum import StrEnum
from typing import NamedTuple

LOAD_BY_TOOL = "call `load_skill` with its name."
LOAD_BY_READING = "print its `SKILL.md` with `cat`."


class ProfileRow(NamedTuple):
    """One profile."""

    name: str
    solver: str  # module:name of what makes a `protocol.Solver`, given `on_step`
    protocol: str = ""  # the template in prompts/ that explains how it works; none: no prompt
    how_to_load: str = ""  # what its system prompt says of reading a skill
    harbor: str = ""  # Harbor's name of the same agent; empty: it has none
    gets_solution: bool = False  # whether it is told where the task's own solution is
    aided: bool = True  # see `Profile.aided`
    remembered: bool = True  # see `Profile.remembered`


class Profile(StrEnum):
    """How the solver talks to its sandbox; the members are the table."""

    solver: str
    protocol: str
    how_to_load: str
    harbor: str
    gets_solution: bool
    aided: bool
    """Whether it asks a model and reads skills. One that does not teaches nothing, costs nothing
    and is no evidence of what an agent can do."""
    remembered: bool
    """Whether its commands pass through us, so that a resumed attempt is told what they showed."""

    def __new__(cls, *row: object) -> "Profile":
        """Make a member of a row, so that its value is the name alone."""
        fields = ProfileRow(*row)  # type: ignore[arg-type]  # a row comes taken apart
        member = str.__new__(cls, fields.name)
        member._value_ = fields.name
        for name, value in zip(ProfileRow._fields[1:], fields[1:], strict=True):
            setattr(member, name, value)
        return member

    TERMINUS2 = ProfileRow(
        "terminus2",
        "grindstone.agents.terminus:TerminusSolver",
        "protocol_terminus2",
        LOAD_BY_READING,
        "terminus-2",
    )
    TERMINUS2_LEGACY = ProfileRow(
        "terminus2_legacy",
        "grindstone.agents.terminus:legacy",
        "protocol_terminus2_legacy",
        LOAD_BY_READING,
    )
    STRANDS = ProfileRow(
        "strands",
        "grindstone.agents.strands:StrandsSolver",
        "protocol_strands",
        LOAD_BY_TOOL,
    )
    COMMAND = ProfileRow(
        "command",
        "grindstone.agents.command_agent:CommandSolver",
        "protocol_command",
        LOAD_BY_READING,
        remembered=False,
    )
    CODE = ProfileRow(
        "code",
        "grindstone.agents.plugins:missing",
        "protocol_command",
        LOAD_BY_READING,
    )
    ORACLE = ProfileRow(
        "oracle",
        "grindstone.agents.fixed:OracleSolver",
        harbor="oracle",
        gets_solution=True,
        aided=False,
        remembered=False,
    )
    NOP = ProfileRow(
        "nop", "grindstone.agents.fixed:NopSolver", harbor="nop", aided=False, remembered=False
    )
    CHEATER = ProfileRow(
        "cheater", "grindstone.agents.fixed:CheaterSolver", aided=False, remembered=False
    )
