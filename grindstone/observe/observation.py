"""What the evolver is shown of one attempt: two types, so that labels cannot slip in.

An `UnlabelledObservation` has no field for a reward, a test or a pass, and nothing that
builds one takes a verdict or an episode. A `LabelledObservation` carries `Feedback`, which
holds as much of the verdict as its level allows.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, NonNegativeInt, PrivateAttr, TypeAdapter, field_validator

from grindstone.base import Frozen
from grindstone.observe.calls import calls_of
from grindstone.observe.compression import compress
from grindstone.observe.feedback import Feedback, build_feedback
from grindstone.observe.signals import Signals, extract_signals
from grindstone.records import FailureClass, Trajectory, Verdict
from grindstone.settings import FeedbackLevel
from grindstone.text import one_line

TRAJECTORY_TOKENS = 2_000

# How the lines of an observation begin: whoever reads one, as the rehearsal does, takes them here.
TASK = "## Task "
WHAT_IT_DID = "### What the agent did"
CATEGORY = "- category: "
OFFERED = "- skills offered: "
LOADED = "- skills loaded: "
SCORE = "- score: "
_INSTRUCTION_CHARS = 6_000


class JudgeVerdict(Frozen):
    """A model's estimate of an attempt from behaviour alone."""

    score: int = Field(ge=0, le=10, description="0 failed, 5 partial progress, 10 likely solved.")
    category: str
    outcome: str = Field(description="One sentence.")
    failure_reason: str = Field("", description="What went wrong; empty from a score of 7 on.")

    @field_validator("category", "outcome", "failure_reason")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return one_line(value)


class _Observation(Frozen):
    task_id: str
    category: str
    difficulty: str = ""
    title: str = ""
    instruction: str
    skills_offered: tuple[str, ...] = ()
    skills_loaded: tuple[str, ...] = ()
    signals: Signals
    trajectory: str = Field(description="Compressed.")

    def _facts(self) -> list[str]:
        offered = ", ".join(self.skills_offered) or "none"
        facts = [
            f"{CATEGORY}{self.category}",
            *([f"- difficulty: {self.difficulty}"] if self.difficulty else []),
            f"{OFFERED}{offered}",
            *([f"{LOADED}{', '.join(self.skills_loaded)}"] if self.skills_loaded else []),
        ]
        return [one_line(fact) for fact in facts]

    def _body(self) -> list[str]:
        return [
            "",
            "### Task description",
            "",
            _quote(self.instruction[:_INSTRUCTION_CHARS]),
            "",
            "### Signals",
            "",
            self.signals.to_markdown(),
            "",
            WHAT_IT_DID,
            "",
            _quote(self.trajectory),
        ]


class UnlabelledObservation(_Observation):
    """An attempt as its behaviour shows it."""

    kind: Literal["unlabelled"] = "unlabelled"
    judgement: JudgeVerdict | None = None

    def to_markdown(self) -> str:
        """Return the observation as the evolver reads it."""
        judged: list[str] = []
        if self.judgement is not None:
            judged = [
                "",
                "### Judge",
                "",
                f"{SCORE}{self.judgement.score} of 10 (an estimate from behaviour)",
                f"{CATEGORY}{self.judgement.category}",
                f"- outcome: {self.judgement.outcome}",
            ]
            if self.judgement.failure_reason:
                judged.append(f"- failure reason: {self.judgement.failure_reason}")
        return "\n".join([f"{TASK}{self.task_id}", "", *self._facts(), *judged, *self._body()])

    def summary(self) -> str:
        """Return one line for the list of earlier tasks."""
        judged = f", judged {self.judgement.score}/10" if self.judgement is not None else ""
        return one_line(
            f"{self.task_id} [{self.category}]{judged}, {self.signals.n_errors} errors, "
            f"{self.signals.n_tool_calls} tool calls"
        )


class Grounds(NamedTuple):
    """What the leak guard needs of an attempt, and nobody is shown: it is never written out."""

    task_dir: Path | None = None
    verdict: Verdict | None = None


class LabelledObservation(_Observation):
    """An attempt with as much of its verdict as the feedback level passes on."""

    kind: Literal["labelled"] = "labelled"
    cycle: NonNegativeInt = 1
    feedback: Feedback
    _grounds: Grounds = PrivateAttr(default=Grounds())

    @property
    def grounds(self) -> Grounds:
        """The task's folder and the whole verdict, where the observation was made from them."""
        return self._grounds

    def lowered(self, level: FeedbackLevel) -> "LabelledObservation":
        """Return the observation as it would have been made at a level, if that is lower."""
        return self.model_copy(update={"feedback": self.feedback.lowered(level)})

    def to_markdown(self) -> str:
        """Return the observation as the evolver reads it."""
        facts = [f for f in self._facts() if not f.startswith(CATEGORY)]
        return "\n".join(
            [
                f"{TASK}{self.task_id}",
                "",
                f"- cycle: {self.cycle}",
                *facts,
                "",
                "### Feedback",
                "",
                self.feedback.to_markdown(),
                *self._body(),
            ]
        )

    def summary(self) -> str:
        """Return one line for the list of earlier tasks."""
        told = self.feedback
        parts = [f"{self.task_id} [{self.category}] cycle {self.cycle}: {told.failure_class.value}"]
        if told.reward is not None:
            parts.append(f"reward {told.reward:.3f}")
        if told.tests_total:
            parts.append(f"{told.tests_passed} of {told.tests_total} tests")
        failed = [test.name for test in told.tests if test.status in ("failed", "error")]
        if failed:
            more = f" and {len(failed) - 8} more" if len(failed) > 8 else ""
            parts.append("not passed: " + ", ".join(failed[:8]) + more)
        return one_line(", ".join(parts))

    def unlabelled(self) -> UnlabelledObservation:
        """Return the same attempt without its feedback."""
        shared = {name: getattr(self, name) for name in _Observation.model_fields}
        return UnlabelledObservation(**shared)


Observation = Annotated[LabelledObservation | UnlabelledObservation, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[LabelledObservation | UnlabelledObservation] = TypeAdapter(Observation)


def parse_observation(line: str) -> LabelledObservation | UnlabelledObservation:
    """Read one line of an observation log.

    Raises:
        pydantic.ValidationError: The line holds anything else.
    """
    return _ADAPTER.validate_json(line)


def observe_unlabelled(
    trajectory: Trajectory,
    *,
    task_id: str,
    category: str,
    instruction: str,
    difficulty: str = "",
    title: str = "",
    skills_offered: Iterable[str] = (),
    skills_loaded: Iterable[str] = (),
    judgement: JudgeVerdict | None = None,
    token_budget: int = TRAJECTORY_TOKENS,
) -> UnlabelledObservation:
    """Return what behaviour alone shows; no verdict is taken, so none can leak."""
    return UnlabelledObservation(
        task_id=task_id,
        category=category,
        difficulty=difficulty,
        title=title,
        instruction=instruction,
        skills_offered=tuple(skills_offered),
        skills_loaded=tuple(skills_loaded),
        signals=extract_signals(trajectory),
        trajectory=compress(trajectory, token_budget),
        judgement=judgement,
    )


def observe_labelled(
    trajectory: Trajectory,
    verdict: Verdict,
    *,
    level: FeedbackLevel,
    failure_class: FailureClass,
    task_id: str,
    category: str,
    instruction: str,
    difficulty: str = "",
    title: str = "",
    cycle: int = 1,
    skills_offered: Iterable[str] = (),
    skills_loaded: Iterable[str] = (),
    token_budget: int = TRAJECTORY_TOKENS,
    task_dir: Path | None = None,
) -> LabelledObservation:
    """Return an attempt with its feedback at a level.

    `task_dir` is the task's folder: with it a skill is kept from giving its answers away.
    """
    feedback = build_feedback(
        verdict,
        level=level,
        task_id=task_id,
        category=category,
        failure_class=failure_class,
        instruction=instruction,
        commands=[call.command for call in calls_of(trajectory)],
    )
    seen = LabelledObservation(
        task_id=task_id,
        category=category,
        difficulty=difficulty,
        title=title,
        instruction=instruction,
        cycle=cycle,
        skills_offered=tuple(skills_offered),
        skills_loaded=tuple(skills_loaded),
        signals=extract_signals(trajectory),
        trajectory=compress(trajectory, token_budget),
        feedback=feedback,
    )
    seen._grounds = Grounds(task_dir, verdict)
    return seen


def render_observations(
    observations: Iterable[LabelledObservation | UnlabelledObservation],
) -> str:
    """Return the content of `evolution/current_observation.md`."""
    parts = [observation.to_markdown() for observation in observations]
    return "\n\n".join(["# Observations", *parts]) + "\n"


def _quote(text: str) -> str:
    """Indent as a block, so that headings inside a task's text are not taken for ours."""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
