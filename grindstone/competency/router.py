"""Sending each task to the member that does its domain best, and learning from what came of it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from grindstone.competency.agents import names_of, prepare, takes_model
from grindstone.competency.checking import check_base, check_names
from grindstone.competency.domains import (
    DomainClassifier,
    KeywordClassifier,
    TagClassifier,
    TaskText,
    infer,
)
from grindstone.competency.outcome import Evaluator, judged
from grindstone.competency.routing import (
    Candidate,
    MemberProfile,
    RoutingDecision,
    RoutingRules,
    Trusted,
    decide,
)
from grindstone.errors import BudgetExceededError, InfrastructureError, InputError, RefusedError
from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.autonomy import OutcomeRow
from grindstone.sync import run_to_end

T = TypeVar("T")
Approve = Callable[[str, RoutingDecision], bool | Awaitable[bool]]
Levels = Callable[[RoutingDecision], Trusted]
"""Tells the level of a decision's member in the scope of its task."""
NO_SCORE = (InfrastructureError, BudgetExceededError, asyncio.CancelledError)
"""Ends that say nothing of the member."""


class NotAllowedError(RefusedError):
    """A policy kept a task from being run.

    Attributes:
        decision: Whom it would have gone to, and why it did not.
    """

    def __init__(self, decision: RoutingDecision, why: str) -> None:
        super().__init__(f"{decision.member_name} was not asked: {why}")
        self.decision = decision
        self.why = why

    def __reduce__(self) -> tuple[type["NotAllowedError"], tuple[RoutingDecision, str]]:
        """Survive pickling."""
        return type(self), (self.decision, self.why)


class CompetencyRouter:
    """Members, and the rules by which a task goes to one of them."""

    def __init__(
        self,
        members: Sequence[MemberProfile],
        base: float = 10.0,
        domains: Sequence[str] = (),
        strong_model: Any = None,
        *,
        classifiers: Sequence[DomainClassifier] | None = None,
        rules: RoutingRules = RoutingRules(),
        approve: Approve | None = None,
        ledger: Ledger | None = None,
        levels: Levels | None = None,
    ) -> None:
        """Check members and domains.

        Args:
            members: Who can be asked; every name once.
            base: The scale's upper end, the same as the members' trackers'.
            domains: What tasks are sorted into; empty: the domains the trackers know.
            strong_model: Given to the member where a domain's deficit is high.
            classifiers: How a task's domain is found, the first sure one decides; by tag and
                then by keyword, as a rule.
            rules: From which ratio on tasks are run, reviewed or escalated; exploration.
            approve: Asked before a task under review is run; without it such a task is run,
                and the decision says that nobody looked.
            ledger: Keeps the decisions; None: they are not kept.
            levels: Asked for the level of the member chosen; None: nobody is asked.

        Raises:
            InputError: There is no member, a name is taken twice, or scales differ.
        """
        self.base = check_base(base)
        if not members:
            raise InputError("members", "there is none", "at least one")
        names = names_of(members)
        self.members = dict(zip(names, members, strict=True))
        for name, member in self.members.items():
            if member.tracker.base != self.base:
                problem = f"has a tracker of base {member.tracker.base:g}"
                raise InputError(f"member {name!r}", problem, f"the router's base, {self.base:g}")
        known = [domain for member in members for domain in member.tracker.domains()]
        self.domains = check_names(domains or dict.fromkeys(known))
        self.strong_model = strong_model
        self.rules = rules
        self._approve = approve
        self._ledger = ledger
        self._levels = levels
        self._classifiers: Sequence[DomainClassifier] = (
            (TagClassifier(self.domains), KeywordClassifier(self.domains))
            if classifiers is None
            else classifiers
        )

    def run(
        self,
        task: str,
        success_evaluator: Evaluator | None = None,
        *,
        tags: Sequence[str] = (),
    ) -> tuple[Any, RoutingDecision]:
        """Route a task, run it, and take in what came of it.

        Args:
            task: What the member is asked.
            success_evaluator: Called with task and response: True or False, or a grade from 0
                to 1. An exception in it is a failure. None: nothing is learned.
            tags: Say the domain, where it is known.

        Returns:
            The response, and the decision with its outcome.

        Raises:
            NotAllowedError: The policy is escalate, or the reviewer said no.
            Exception: What the member raised, after it was recorded as a failure;
                infrastructure errors, spent budgets and cancellations are recorded as nothing.
        """
        decision = self.decide(task, tags=tags)
        decision = run_to_end(self._permit(task, decision))
        ask = self._entrance(decision, in_loop=False)
        try:
            response = ask(task)
            if inspect.isawaitable(response):
                response = run_to_end(_awaited(response))
        except NO_SCORE:
            raise
        except Exception as error:  # whatever a member raises, it did not do the task
            self.settle(decision, False, note=_in_words(error))
            raise
        return response, self._evaluated(decision, task, response, success_evaluator)

    async def arun(
        self,
        task: str,
        success_evaluator: Evaluator | None = None,
        *,
        tags: Sequence[str] = (),
    ) -> tuple[Any, RoutingDecision]:
        """Do as `run` does, within an event loop; a member that blocks gets a thread."""
        decision = await self._permit(task, await self.adecide(task, tags=tags))
        ask = self._entrance(decision, in_loop=True)
        try:
            response = await asyncio.to_thread(ask, task)
            if inspect.isawaitable(response):
                response = await response
        except NO_SCORE:
            raise
        except Exception as error:  # whatever a member raises, it did not do the task
            self.settle(decision, False, note=_in_words(error))
            raise
        return response, self._evaluated(decision, task, response, success_evaluator)

    def decide(self, task: str, *, tags: Sequence[str] = ()) -> RoutingDecision:
        """Return whom a task would go to, and how; nothing is run."""
        return run_to_end(self.adecide(task, tags=tags))

    async def adecide(self, task: str, *, tags: Sequence[str] = ()) -> RoutingDecision:
        """Do as `decide` does, within an event loop."""
        if not task.strip():
            raise InputError("task", "is empty", "what is to be done")
        guess = await infer(TaskText(task, tuple(tags)), self._classifiers)
        decision = decide(task, guess, self._candidates(guess.domain), self.rules, base=self.base)
        if decision.model_tier == "strong" and not self._has_strong(decision.member_name):
            decision = decision.model_copy(
                update={"model_tier": "standard", "note": "no stronger model to give"}
            )
        if self._levels is not None:
            decision = decision.with_level(await asyncio.to_thread(self._levels, decision))
        if self._ledger is not None:
            self._ledger.append([decision.row()], run_key="routing")
        return decision

    def settle(
        self,
        decision: RoutingDecision,
        success: bool,
        *,
        value: float | None = None,
        note: str = "",
        episode_id: str = "",
    ) -> RoutingDecision:
        """Take in what came of a decision; where the domain is unknown nobody's record moves.

        Args:
            decision: What `decide` returned.
            success: Whether the task was done.
            value: How well, from 0 to base.
            note: What went wrong.
            episode_id: The attempt's, where there was one.
        """
        if decision.known_domain:
            about = OutcomeRow(
                outcome_id=decision.decision_id,
                domain=decision.domain,
                success=success,
                member_name=decision.member_name,
                agent_id=self.members[decision.member_name].agent_id,
                episode_id=episode_id,
                policy=decision.policy,
                model_tier=decision.model_tier,
                at=decision.at,
            )
            self.members[decision.member_name].tracker.record(
                decision.domain,
                success,
                value=value,
                outcome_id=episode_id or decision.decision_id,
                about=about,
            )
        told = _joined(decision.note, note)
        return decision.model_copy(update={"success": success, "note": told})

    def _evaluated(
        self, decision: RoutingDecision, task: str, response: Any, evaluator: Evaluator | None
    ) -> RoutingDecision:
        if evaluator is None:
            return decision
        success, grade, note = judged(evaluator, task, response)
        value = None if grade is None else grade * self.base
        return self.settle(decision, success, value=value, note=note)

    async def _permit(self, task: str, decision: RoutingDecision) -> RoutingDecision:
        if decision.policy == "escalate" and not self.rules.allow_escalated:
            raise NotAllowedError(decision, f"escalated, {decision.why}")
        if decision.policy != "review":
            return decision
        if self._approve is None:
            note = "to be reviewed, and nobody was there to do it"
            return decision.model_copy(update={"note": _joined(decision.note, note)})
        answer = self._approve(task, decision)
        if not (await answer if inspect.isawaitable(answer) else answer):
            raise NotAllowedError(decision, "the reviewer said no")
        return decision.model_copy(update={"note": _joined(decision.note, "reviewed and approved")})

    def _entrance(self, decision: RoutingDecision, *, in_loop: bool) -> Callable[[str], Any]:
        model = self.strong_model if decision.model_tier == "strong" else None
        return prepare(self.members[decision.member_name], model, in_loop=in_loop)

    def _has_strong(self, name: str) -> bool:
        return self.strong_model is not None and takes_model(self.members[name])

    def _candidates(self, domain: str | None) -> list[Candidate]:
        found = []
        for name, member in self.members.items():
            wanted = self.domains if domain is None else (domain,)
            levels = [member.tracker.competency(each) for each in wanted]
            found.append(
                Candidate(
                    member_name=name,
                    competency=sum(levels) / len(levels),
                    evidence=sum(member.tracker.evidence(each) for each in wanted),
                )
            )
        return found


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


async def _awaited(response: Awaitable[T]) -> T:
    return await response
