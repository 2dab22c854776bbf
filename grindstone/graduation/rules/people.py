"""Who may answer for an agent: names that are people's, and the approvers a home knows.

    <home>/approvers.yaml

    approvers:
      - name: Grace Hopper
        roles: [approve, demote]        # all by default
        scopes: ["sales_bot*"]          # patterns of agents; all by default
        work_scopes: [woodstock]        # patterns of the scopes of their work; all by default
        public_key: MCowBQYDK2VwAyEA…   # optional, ed25519; then answers are signed

Without the file any person may answer; with it, only those it names.
"""

import base64
import binascii
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field, JsonValue, ValidationError, field_validator

from grindstone.base import Frozen, PlainNumbers
from grindstone.digest import canonical_json
from grindstone.errors import InputError
from grindstone.graduation.rules.files import input_error, names, read_yaml, refuse_ending

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Role = Literal["approve", "demote", "enrol", "release", "import", "cases"]
"""What a person may do: answer for promotions, actions and tasks; lower levels; take agents over;
release skills and reset capabilities; bring in other systems' episodes; add edge cases."""

NOBODY = frozenset(
    {
        *("grindstone", "system", "system user", "auto", "automatic", "automation", "bot", "agent"),
        *("ai", "nobody", "none", "null", "nil", "undefined", "unknown", "anonymous", "anon"),
        *("n/a", "na", "tbd", "todo", "placeholder", "name", "your name", "someone", "somebody"),
    }
)
"""Names that stand for no person."""


class Approver(Frozen, PlainNumbers):
    """A person who may answer for agents."""

    name: str = Field(description="As it goes into the trail.")
    roles: tuple[Role, ...] = Field(get_args(Role), description="What the person may do.")
    scopes: tuple[str, ...] = Field(("*",), description="Patterns of the agents it holds for.")
    work_scopes: tuple[str, ...] = Field(
        ("*",), description="Patterns of the scopes of work it holds for, as policies name them."
    )
    public_key: str = Field(
        "", description="ed25519, raw or DER, in base64: answers must bear its signature."
    )

    @field_validator("name")
    @classmethod
    def _is_a_persons(cls, value: str) -> str:
        try:
            return named_human(value, "name")
        except InputError as error:
            raise ValueError(str(error)) from error

    @field_validator("public_key")
    @classmethod
    def _is_a_key(cls, value: str) -> str:
        if value:
            raw_key(value)
        return value


class Approvers(Frozen):
    """The people a home knows; none: any person may answer."""

    approvers: tuple[Approver, ...] = ()

    def person(
        self, name: str, role: Role, agent_id: str = "", where: str = "by", *, scope: str = ""
    ) -> Approver:
        """Return the person of that name, where it may do this for the agent.

        Raises:
            InputError: It is no person's name, or the home's approvers do not allow it.
        """
        found = named_human(name, where)
        if not self.approvers:
            return Approver(name=found)
        entry = next((each for each in self.approvers if same_person(each.name, found)), None)
        known = ", ".join(each.name for each in self.approvers)
        if entry is None:
            raise InputError(where, f"{found} is not among the approvers", f"one of {known}")
        if role not in entry.roles:
            allowed = ", ".join(entry.roles)
            raise InputError(where, f"{found} may not {role}", f"somebody who may; not {allowed}")
        if agent_id and not any(names(each, agent_id) for each in entry.scopes):
            raise InputError(
                where,
                f"{found} does not answer for {agent_id}",
                f"one of its approvers; {found} answers for {', '.join(entry.scopes)}",
            )
        if agent_id and not any(names(each, scope) for each in entry.work_scopes):
            raise InputError(
                where,
                f"{found} does not answer for {agent_id} in {scope or 'all its work'}",
                f"one of its approvers; {found} answers in {', '.join(entry.work_scopes)}",
            )
        return entry


def load_approvers(path: Path) -> Approvers:
    """Read a home's approvers; nobody is listed where there is no file.

    Raises:
        InputError: The file cannot be used, or names a person twice.
    """
    for ending in (".yml", ".YAML", ".YML"):
        refuse_ending(path.with_suffix(ending))
    if not (path.exists() or path.is_symlink()):
        return Approvers()
    try:
        found = Approvers.model_validate(read_yaml(path))
    except ValidationError as error:
        raise input_error(path, error, "approvers as docs/graduation.md describes them") from error
    people = [folded(each.name) for each in found.approvers]
    if twice := {name for name in people if people.count(name) > 1}:
        raise InputError(str(path), f"{min(twice)} is named twice", "each person once")
    if not people:
        raise InputError(str(path), "names nobody", "at least one approver, or no file")
    keys: dict[bytes, str] = {}
    for each in found.approvers:
        if each.public_key:
            raw = raw_key(each.public_key).public_bytes_raw()
            if (other := keys.setdefault(raw, each.name)) != each.name:
                said = f"{other} and {each.name} have one key"
                raise InputError(f"{path}: public_key", said, "a key of each person's own")
    return found


def named_human(name: str, where: str = "by") -> str:
    """Return a person's name, trimmed.

    Raises:
        InputError: It is empty, a placeholder, the system's own, or holds what nobody sees.
    """
    found = " ".join(name.split())
    hidden = any(unicodedata.category(each) in ("Cf", "Cc", "Co", "Cn", "Cs") for each in found)
    letters = any(each.isalpha() for each in found)
    if hidden or not letters or folded(found) in map(folded, NOBODY):
        raise InputError(where, f"is {name!r}", "the name of the human who answers for it")
    return found


def refuse_agents(name: str, agents: Collection[str], where: str = "by") -> None:
    """Keep an agent from answering for itself or for another.

    Raises:
        InputError: The name is an agent's.
    """
    if folded(name) in {folded(each) for each in agents}:
        raise InputError(where, f"{name!r} is an agent", "the name of a human")


def same_person(one: str, other: str) -> bool:
    """Tell whether two names are one person's."""
    return folded(one) == folded(other)


@lru_cache(maxsize=10_000)
def folded(name: str) -> str:
    """Return a name as it is compared: by its letters and digits, as a reader sees them.

    Case, width, spaces, marks and accents say nothing, and a letter of another script is the
    one it looks like: who could be taken for somebody answers as that one.
    """
    from grindstone.skills.tokens import plain  # its tables are read where names are compared

    seen = "".join(each for each in plain(name) if each.isalnum())
    return seen or " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def answer_message(
    agent_id: str, target: str, *, approved: bool, by: str, since: str, scope: str = ""
) -> bytes:
    """Return what an approver with a key signs.

    Args:
        agent_id: The agent.
        target: The level.
        approved: The answer.
        by: The approver.
        since: Digest of the event it is bound to: an old answer serves no later question.
        scope: The part of the work it is for; empty: all of it.
    """
    said: dict[str, JsonValue] = {
        **{"agent_id": agent_id, "target": target, "approved": approved, "by": by, "since": since},
        **({"scope": scope} if scope else {}),
    }
    return canonical_json(said).encode()


def check_signature(approver: Approver, message: bytes, signature: str) -> None:
    """Refuse an answer that does not bear its approver's signature.

    Raises:
        InputError: It does not.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        raw_key(approver.public_key).verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise InputError(
            "signature",
            f"is not {approver.name}'s" if signature else f"is missing; {approver.name} has a key",
            "`grindstone audit answer --key` with the approver's private key",
        ) from error


def raw_key(text: str) -> "Ed25519PublicKey":
    """Return a public key written in base64.

    Raises:
        ValueError: It is none.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    data = base64.b64decode("".join(text.split()), validate=True)
    key = Ed25519PublicKey.from_public_bytes(data) if len(data) == 32 else load_der_public_key(data)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("is no ed25519 public key")  # noqa: TRY004 - pydantic reports value errors
    return key


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, each person once, in order."""
    return tuple({folded(name): name for name in reversed(names)}.values())[::-1]
