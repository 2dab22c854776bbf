"""An agent of others as data: how it is installed, called, told of its model, and understood."""

import re
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PositiveInt, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.files import from_home
from grindstone.llm.service import Api
from grindstone.remote.sent_file import is_sent_file, put_file, sent_file
from grindstone.remote.store import Store
from grindstone.resources import bundled
from grindstone.validation import faults

HOME = "/root"
FOLDER = "/root/.agent"
"""Where an agent's program finds what it is told, as files."""

PLACEHOLDERS = {
    "{model}": "the model, as the service calls it",
    "{base_url}": "where the model answers, without a path",
    "{token}": "what opens it, in the place of a key",
    "{instruction_file}": "the task's words",
    "{system_file}": "the workspace's words: its prompt, memories, and which skills there are",
    "{prompt_file}": "the workspace's words and then the task's, in one",
    "{workdir}": "the folder the task begins in",
}
"""What may stand in the values of `env` and `files`, and in `command`."""


_MEANT = frozenset({"prompt", "instruction", "task", "system", "key", "api_key", "url", "address"})
"""What people call them otherwise; a shell's or a program's own braces are let be."""


def _filled_in(text: str) -> str:
    known = [name.strip("{}") for name in PLACEHOLDERS]
    for name in re.findall(r"(?<!\$)\{([a-z][a-z_-]*)\}", text):
        if name not in known and (name in _MEANT or get_close_matches(name, known, cutoff=0.75)):
            raise ValueError(f"{{{name}}} is not filled in; expected {', '.join(PLACEHOLDERS)}")
    return text


def _inside(path: str) -> str:
    if not path.startswith(("/", "~/", "{workdir}/")):
        raise ValueError(f"{path!r} is no absolute path; expected /…, ~/… or {{workdir}}/…")
    return path


FilledText = Annotated[str, AfterValidator(_filled_in)]


class ToolWord(Frozen):
    """What a tool of the agent's comes to in our words."""

    name: Literal["bash", "load_skill", "read_file"] = Field(
        description="bash: it runs a command line; load_skill: it reads a skill, by its name; "
        "read_file: it shows a file, by its path."
    )
    argument: str = Field(description="The argument that holds the command, name or path.")


class AgentFile(Frozen):
    """One agent."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field("", description="Of the program; pinned by `install`.")
    licence: str = Field("", description="Under which it is installed; nothing of it is shipped.")
    about: str = ""
    install: tuple[str, ...] = Field(
        (), description="Shell commands of an image layer, run as root; the network is there."
    )
    command: FilledText = Field(
        min_length=1, description="A shell command line, run once per attempt in the task's folder."
    )
    env: dict[str, FilledText] = Field({}, description="Variables; see `PLACEHOLDERS`.")
    files: dict[str, str] = Field(
        {}, description="Path to content; ~ is the program's home, and both are filled in likewise."
    )
    skills: str = Field(
        "", description="A folder its skills go to, beside the four where all agents find them."
    )
    api: Api = Field(Api.MESSAGES, description="How its program speaks to a model.")
    tools: dict[str, ToolWord] = Field({}, description="By the agent's name of a tool.")
    max_calls: PositiveInt | None = Field(
        None, description="Model calls of one attempt; empty: the run's max_steps."
    )

    @field_validator("files", "skills")
    @classmethod
    def _lie_inside(cls, value: Any) -> Any:
        for path in value if isinstance(value, dict) else [value]:
            if path:
                _inside(path)
        return value

    @property
    def label(self) -> str:
        """Its name and version, and a digest: another file is another agent."""
        return " ".join(filter(None, [self.name, self.version, digest(self)[:8]]))


def at_home(path: str) -> str:
    """Return a path inside, with ~ as the program's home."""
    return f"{HOME}{path[1:]}" if path.startswith("~/") else path


@cache
def bundled_agents() -> tuple[str, ...]:
    """Return the names of the agents that come with the package."""
    return tuple(sorted(path.stem for path in bundled("agents").glob("*.yaml")))


def load_agent(choice: str) -> AgentFile:
    """Return a bundled agent by its name, or one of the user's by its file or where that was sent.

    Raises:
        InputError: There is none, or the file's fields are not an agent's.
        InfrastructureError: It was sent, and the storage did not answer.
    """
    path = bundled("agents") / f"{choice}.yaml" if choice in bundled_agents() else from_home(choice)
    try:
        content = sent_file(choice) if is_sent_file(choice) else path.read_bytes()
        data = YAML(typ="safe").load(content.decode())
    except OSError as error:
        expected = f"{', '.join(bundled_agents())} or a YAML file"
        raise InputError("agent", f"{choice} is no agent ({error.strerror})", expected) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(str(path), str(error).splitlines()[0], "YAML") from error
    try:
        return AgentFile.model_validate(data)
    except ValidationError as error:
        raise InputError.together(
            [
                InputError(f"{path}: {'.'.join(fault.place)}", fault.problem, fault.expected)
                for fault in faults(error)
            ]
        ) from error


def agent_everywhere(choice: str, store: Store | None) -> str:
    """Return an agent's name or file as it means the same in another folder or on another machine.

    Args:
        choice: As `load_agent` takes it.
        store: Of a remote home, into which a file is put; None where all machines see one disk.

    Raises:
        InputError: As `load_agent`.
        InfrastructureError: The storage did not take it.
    """
    if choice in bundled_agents() or is_sent_file(choice):
        return choice
    if store is None:
        return str(from_home(choice).absolute())
    return put_file(store, load_agent(choice).model_dump_json(exclude_defaults=True).encode())


def quick_agent(command: str) -> AgentFile:
    """Return an agent that is one command line, in an image that has its program.

    It is told of its model by the variables that programs of either API read.
    """
    return AgentFile(
        name="command",
        command=command,
        env={
            "ANTHROPIC_BASE_URL": "{base_url}",
            "ANTHROPIC_API_KEY": "{token}",
            "ANTHROPIC_MODEL": "{model}",
            "OPENAI_BASE_URL": "{base_url}/v1",
            "OPENAI_API_KEY": "{token}",
            "OPENAI_MODEL": "{model}",
            "INSTRUCTION_FILE": "{instruction_file}",
            "SYSTEM_FILE": "{system_file}",
            "PROMPT_FILE": "{prompt_file}",
        },
        tools={"bash": ToolWord(name="bash", argument="command")},
    )
