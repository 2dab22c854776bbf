"""manifest.yaml: what a workspace is called and which of its layers may evolve."""

from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from pydantic import Field, ValidationError, field_validator

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.untrusted import UntrustedError, read_yaml

MANIFEST = "manifest.yaml"

Layer = Literal["skills", "memory", "prompts", "tools"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
_NO_PROMPT_IN = ("skills", "memory", "tools", "task_skills", "evolution", ".git", MANIFEST)


class AgentEntry(Frozen):
    """How other systems start this agent; kept and not used."""

    type: str = ""
    entrypoint: str = ""


class Manifest(Frozen):
    """The content of manifest.yaml."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str = "1.0"
    description: str = ""
    system_prompt: str = Field(
        "prompts/system.md", description="The file that holds the agent's system prompt."
    )
    evolvable_layers: tuple[Layer, ...] = Field(
        LAYERS,
        description="What may ever change; a run's settings may allow less.",
    )
    contract_version: str = ""
    agent: AgentEntry = AgentEntry()
    reload_strategy: str = ""

    @field_validator("version", "contract_version", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int | float) else value

    @field_validator("system_prompt")
    @classmethod
    def _inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("must be a relative path inside the workspace")
        if path.parts[:1] == () or path.parts[0] in _NO_PROMPT_IN:
            raise ValueError(f"must be no part of {', '.join(_NO_PROMPT_IN)}")
        return path.as_posix()

    def layer_of(self, path: str) -> Layer | None:
        """Return the layer a file of the workspace belongs to, None where it is in none."""
        if path == self.system_prompt:
            return "prompts"
        top, _, rest = path.partition("/")
        return next((layer for layer in LAYERS if layer == top and rest), None)


def read_manifest(root: Path) -> Manifest:
    """Return a workspace's manifest.

    Raises:
        InputError: It is absent, no YAML, or a field is wrong; or the prompt is absent or no text.
    """
    from ruamel.yaml import YAML

    path = root / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), "cannot be read", "a workspace's manifest.yaml") from error
    try:
        found = read_yaml(text, YAML(typ="safe", pure=True).load)
    except UntrustedError as error:
        raise InputError(str(path), str(error), "YAML") from error
    if not isinstance(found, dict):
        raise InputError(str(path), "is not a mapping", "`key: value` lines such as name: …")
    try:
        manifest = Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "content"
        expected = ", ".join(Manifest.model_fields)
        if first["type"] != "extra_forbidden":
            expected = "what the manifest's field takes"
        raise InputError(f"{path}: {field}", first["msg"], expected) from error
    where, prompt = f"{path}: system_prompt", manifest.system_prompt
    if not (root / prompt).is_file():
        raise InputError(where, f"{prompt} does not exist", "a file")
    try:
        (root / prompt).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(where, f"{prompt} cannot be read as text", "a file in UTF-8") from error
    return manifest
