"""Every error Grindstone raises on purpose, and what is done about each.

An agent's mistake or a failed test is a score, never an exception. What is raised
here is either the user's to mend (`InputError`), a refusal (`RefusedError`), a limit
the user set (`BudgetExceededError`), the user's word to end (`CalledOffError`), or
infrastructure (`InfrastructureError`). The last kind never becomes a score: `POLICIES` says
which layer tries again and how often.
What nobody foresaw becomes infrastructure too (`InternalError`), at `boundary.step_boundary`.
"""

from collections.abc import Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Self


class GrindstoneError(Exception):
    """Base of all errors of this package."""


class InputError(GrindstoneError):
    """Something the user gave is unusable; nothing was changed.

    Attributes:
        where: The file, flag, variable or field at fault.
        problem: What is wrong with it.
        expected: What would have been accepted.
        also: What else is unusable, found in the same look.
    """

    def __init__(self, where: str, problem: str, expected: str) -> None:
        super().__init__(where, problem, expected)
        self.where = where
        self.problem = problem
        self.expected = expected
        self.also: tuple[InputError, ...] = ()

    @classmethod
    def together(cls, errors: Sequence["InputError"]) -> "InputError":
        """Return one error, the first, that tells of all; `errors` holds at least one."""
        first, *rest = (each for error in errors for each in error.each)
        first.also = tuple(rest)
        return first

    @property
    def each(self) -> tuple["InputError", ...]:
        """This fault and the others told with it."""
        return (self, *self.also)

    @property
    def sentence(self) -> str:
        """This fault alone."""
        return f"{self.where}: {self.problem}; expected {self.expected}"

    def __str__(self) -> str:
        """All faults, one a line."""
        return "\n".join(error.sentence for error in self.each)

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: Prefect and process pools carry errors that way."""
        return type(self), (self.where, self.problem, self.expected), {"also": self.also}


class RefusedError(GrindstoneError):
    """A rule forbids what was asked; the message lists every rule that did."""


class BudgetExceededError(GrindstoneError):
    """A ceiling on spend was reached before the next call; the run ends in order.

    Attributes:
        ceiling: The setting, `max_tokens_total` or `max_cost_usd`; empty: it is not told.
        limit: What it was, tokens or US dollars.
    """

    def __init__(self, message: str, *, ceiling: str = "", limit: float = 0.0) -> None:
        super().__init__(message)
        self.ceiling = ceiling
        self.limit = limit

    @classmethod
    def in_tokens(cls, used: float, held: float, needed: float, limit: float) -> Self:
        """Return the error of a call that needs more tokens than are left.

        Args:
            used: By calls that ended.
            held: By calls in flight.
            needed: By the call, about.
            limit: `max_tokens_total`.
        """
        return cls(
            f"max_tokens_total: {used:,.0f} tokens are used, {held:,.0f} reserved by calls in "
            f"flight and the next call needs about {needed:,.0f}; the ceiling is {limit:,.0f}",
            ceiling="max_tokens_total",
            limit=limit,
        )

    @classmethod
    def in_usd(cls, spent: float, held: float, needed: float, limit: float) -> Self:
        """Return the error of a call that costs more US dollars than are left.

        Args:
            spent: By calls that ended.
            held: By calls in flight.
            needed: By the call, about.
            limit: `max_cost_usd`.
        """
        return cls(
            f"max_cost_usd: {spent:.4f} USD are spent, {held:.4f} reserved by calls in flight and "
            f"the next call costs about {needed:.4f}; the ceiling is {limit:.4f}",
            ceiling="max_cost_usd",
            limit=limit,
        )


class CalledOffError(GrindstoneError):
    """Somebody ordered the run to end; its key resumes it."""


class RetryBy(StrEnum):
    """The one layer that may try again; no error is retried by two."""

    CLIENT = "client"  # the model client, around one request
    TASK = "task"  # the Prefect task, around one attempt
    SENDER = "sender"  # who sent the attempt to a work pool, in another slice
    NOBODY = "nobody"


class Cause(StrEnum):
    """What went wrong with the infrastructure."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    MODEL_SERVER = "model_server"
    MODEL_CONNECTION = "model_connection"
    MODEL_TRUNCATED = "model_truncated"
    MODEL_REJECTED = "model_rejected"  # 400, 401, 403, 404: the same request fails again
    ENGINE_UNAVAILABLE = "engine_unavailable"
    CONTAINER_LOST = "container_lost"
    IMAGE_BUILD = "image_build"
    SANDBOX_START = "sandbox_start"
    SANDBOX_IO = "sandbox_io"
    AGENT_BROKEN = "agent_broken"  # a program of others, before it asked its model; or code
    VERIFIER_BROKEN = "verifier_broken"  # no reward, unreadable, or outside [0, 1]
    VERIFIER_TIMEOUT = "verifier_timeout"
    JUDGE_UNUSABLE = "judge_unusable"
    LEDGER_IO = "ledger_io"
    REMOTE_HOME = "remote_home"  # the object storage that a home is kept in
    WORKER_LOST = "worker_lost"  # the process that an attempt was sent to
    PREFECT_SERVER = "prefect_server"
    INTERNAL = "internal"  # an exception nobody foresaw


OF_ITS_OWN_DOING = frozenset(
    {Cause.AGENT_BROKEN, Cause.CONTAINER_LOST, Cause.VERIFIER_BROKEN, Cause.VERIFIER_TIMEOUT}
)
"""What an agent may bring about by what it does; the others come upon it from outside."""


class ErrorPolicy(NamedTuple):
    """What is done about a cause."""

    retry_by: RetryBy
    tries: int  # in all, the first one included
    meaning: str


POLICIES: MappingProxyType[Cause, ErrorPolicy] = MappingProxyType(
    {
        Cause.RATE_LIMITED: ErrorPolicy(
            RetryBy.CLIENT, 6, "the model's service asked to slow down"
        ),
        Cause.OVERLOADED: ErrorPolicy(RetryBy.CLIENT, 6, "the model's service is overloaded"),
        Cause.MODEL_SERVER: ErrorPolicy(RetryBy.CLIENT, 4, "the model's service failed"),
        Cause.MODEL_CONNECTION: ErrorPolicy(
            RetryBy.CLIENT, 4, "the model's service did not answer"
        ),
        Cause.MODEL_TRUNCATED: ErrorPolicy(RetryBy.CLIENT, 4, "the model's answer broke off"),
        Cause.MODEL_REJECTED: ErrorPolicy(
            RetryBy.NOBODY, 1, "the model's service refused the request"
        ),
        Cause.ENGINE_UNAVAILABLE: ErrorPolicy(
            RetryBy.TASK, 3, "the sandbox engine does not answer"
        ),
        Cause.CONTAINER_LOST: ErrorPolicy(
            RetryBy.TASK, 3, "the sandbox disappeared during the attempt"
        ),
        Cause.IMAGE_BUILD: ErrorPolicy(RetryBy.TASK, 2, "the task's image could not be built"),
        Cause.SANDBOX_START: ErrorPolicy(RetryBy.TASK, 3, "the sandbox could not be started"),
        Cause.SANDBOX_IO: ErrorPolicy(
            RetryBy.TASK, 3, "a file could not be moved into or out of it"
        ),
        Cause.AGENT_BROKEN: ErrorPolicy(
            RetryBy.TASK,
            2,
            "the agent's program ended with an error before it asked its model, or its code "
            "raised one",
        ),
        Cause.VERIFIER_BROKEN: ErrorPolicy(RetryBy.TASK, 2, "the verifier left no usable reward"),
        Cause.VERIFIER_TIMEOUT: ErrorPolicy(RetryBy.TASK, 2, "the verifier ran out of time"),
        Cause.JUDGE_UNUSABLE: ErrorPolicy(
            RetryBy.CLIENT, 3, "the judge's answer could not be used"
        ),
        Cause.LEDGER_IO: ErrorPolicy(RetryBy.TASK, 3, "the ledger could not be written"),
        Cause.REMOTE_HOME: ErrorPolicy(
            RetryBy.TASK, 3, "the object storage of the home did not do what was asked"
        ),
        Cause.WORKER_LOST: ErrorPolicy(
            RetryBy.SENDER, 4, "the worker that had the attempt ended before it"
        ),
        Cause.PREFECT_SERVER: ErrorPolicy(RetryBy.NOBODY, 1, "the Prefect server cannot be used"),
        Cause.INTERNAL: ErrorPolicy(
            RetryBy.NOBODY, 1, "an error nobody foresaw, in Grindstone itself"
        ),
    }
)


class InfrastructureError(GrindstoneError):
    """Not the agent's doing; the attempt has no score.

    Attributes:
        cause: The row of `POLICIES` that says who tries again.
        detail: What was seen.
        agent_began: Whether the agent had begun to work by then.
    """

    def __init__(self, cause: Cause, detail: str) -> None:
        # It may quote a model, a task or a sandbox, and is written to files and terminals.
        detail = detail.encode("utf-8", "backslashreplace").decode()
        super().__init__(f"{cause.value}: {POLICIES[cause].meaning}: {detail}")
        self.cause = cause
        self.detail = detail
        self.agent_began = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: Prefect and process pools carry errors that way."""
        return type(self), (self.cause, self.detail), {"agent_began": self.agent_began}

    @property
    def policy(self) -> ErrorPolicy:
        """Who tries again, and how often."""
        return POLICIES[self.cause]


class UncarriableError(InfrastructureError):
    """What lies in a sandbox cannot be carried out of it, which is who works inside's doing.

    Where nobody is to blame for it, it counts as the infrastructure error that it is too.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(Cause.SANDBOX_IO, detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling."""
        return type(self), (self.detail,), {"agent_began": self.agent_began}


class InternalError(InfrastructureError):
    """Something nobody foresaw, in one step of a run; it costs that step alone."""

    def __init__(self, detail: str) -> None:
        super().__init__(Cause.INTERNAL, detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling, as above."""
        return type(self), (self.detail,), {"agent_began": self.agent_began}
