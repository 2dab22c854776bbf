"""Grading, and what is done where the first verdict is missing or contradicts itself.

No verdict may be the verifier's own fault, or the doing of what the agent left: a process that
ends the tests, a program that never answers, a disk that is full. A verdict that contradicts
itself may have been written by a program of the agent. Neither is believed and neither is a way
out of a score: the tests are run again in a fresh sandbox that gets the agent's files only.

- Both agree: that is the verdict (`settled`).
- One pays and the other does not, or the second contradicts itself as well: `disputed`, a reward
  of 0 unless the run trusts disputed verdicts.
- The tests work in a fresh sandbox and not with the agent's files: `void`, a reward of 0.
- They do not work without the agent's files either: the verifier is broken, and there is no score.
"""

from collections.abc import Mapping
from typing import NamedTuple

from grindstone.benchmark.environment import build_spec
from grindstone.benchmark.separate_verifier import carried, grade_separately
from grindstone.benchmark.starting import start_task
from grindstone.benchmark.task import Task
from grindstone.benchmark.verifier import cap, grade
from grindstone.errors import Cause, InfrastructureError
from grindstone.records import Basis, Verdict
from grindstone.sandbox.protocol import Sandbox, SandboxProvider
from grindstone.settings import ScoreMode

AGENT_CAUSES = (Cause.VERIFIER_BROKEN, Cause.VERIFIER_TIMEOUT, Cause.SANDBOX_IO)
"""The causes that may be the agent's doing while the tests run."""


async def grade_task(
    task: Task,
    sandbox: Sandbox,
    provider: SandboxProvider,
    *,
    score_mode: ScoreMode,
    separate: bool = False,
    trust_disputed: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Verdict:
    """Grade in the agent's sandbox or, where the task or the run asks for it, in a fresh one.

    Args:
        task: Whose tests.
        sandbox: The agent's.
        provider: Starts fresh sandboxes, which are closed at the end.
        score_mode: Decides what counts as a pass.
        separate: Grade in a fresh sandbox whatever the task says, where its files can be carried.
        trust_disputed: A disputed verdict keeps the reward that was given first.
        labels: For the fresh sandboxes.

    Raises:
        InfrastructureError: The tests give no verdict where the agent never was either, or the
            sandbox's or provider's own.
        InputError: As `grade_separately`, for a task that asks for a separate verifier.
    """
    for hook in task.collect:  # a collection that fails shows in the tests, or nowhere
        await sandbox.exec(hook.command, timeout_s=hook.timeout_s)
    hearing = _Hearing(task, sandbox, provider, score_mode, labels)
    if task.separate_verifier or (separate and carried(task, sandbox.workdir) is not None):
        return await hearing.apart(trust_disputed=trust_disputed)
    return await hearing.beside(trust_disputed=trust_disputed)


class _Hearing(NamedTuple):
    """One attempt's tests, wherever they are run."""

    task: Task
    sandbox: Sandbox
    provider: SandboxProvider
    score_mode: ScoreMode
    labels: Mapping[str, str] | None

    async def beside(self, *, trust_disputed: bool) -> Verdict:
        """Grade in the agent's sandbox, and settle what is in doubt."""
        first = await self._here()
        if isinstance(first, Verdict) and not first.evidence:
            return first
        why = _why(first)
        if carried(self.task, self.sandbox.workdir) is None:
            return await self._without_files(first, why, trust_disputed=trust_disputed)
        there = await self._there()
        if isinstance(there, InfrastructureError):
            return await self._void((*why, *_why(there)))
        if isinstance(first, InfrastructureError) and there.reward > 0 and not there.evidence:
            first = await self._here()
            why = (*why, *_why(first))
        return _compared(first, there, why, trust_disputed=trust_disputed)

    async def apart(self, *, trust_disputed: bool) -> Verdict:
        """Grade in a fresh sandbox alone."""
        verdict = await self._there()
        if isinstance(verdict, InfrastructureError):
            return await self._void(_why(verdict))
        if verdict.evidence:
            return _disputed(verdict, verdict.evidence, trusted=trust_disputed)
        return verdict

    async def _here(self) -> Verdict | InfrastructureError:
        try:
            return await grade(self.task, self.sandbox, score_mode=self.score_mode)
        except InfrastructureError as error:
            return _agents(error)

    async def _there(self) -> Verdict | InfrastructureError:
        try:
            return await grade_separately(
                self.task,
                self.sandbox,
                self.provider,
                score_mode=self.score_mode,
                labels=self.labels,
            )
        except InfrastructureError as error:
            return _agents(error)

    async def _without_files(
        self, first: Verdict | InfrastructureError, why: tuple[str, ...], *, trust_disputed: bool
    ) -> Verdict:
        """Settle where the agent worked in a system folder, whose files cannot be told apart."""
        if isinstance(first, Verdict):
            return _disputed(first, why, trusted=trust_disputed)
        await self._untouched()
        again = await self._here()
        if isinstance(again, Verdict):
            return (
                _disputed(again, (*why, *again.evidence), trusted=trust_disputed)
                if again.evidence
                else again
            )
        return await self._void((*why, *_why(again)), tried=True)

    async def _void(self, evidence: tuple[str, ...], *, tried: bool = False) -> Verdict:
        if not tried:
            await self._untouched()
        told = (
            "The tests give a verdict in a fresh sandbox, and none with what the agent left: "
            + "; ".join(evidence)
        )
        return Verdict(
            reward=0.0,
            passed=False,
            output=cap(told),
            exit_code=1,
            basis="void",
            evidence=evidence,
        )

    async def _untouched(self) -> None:
        """Run the tests where the agent never was; raises where they give no verdict there."""
        image = await self.provider.build(build_spec(self.task))
        fresh = await start_task(self.task, self.provider, image, labels=self.labels)
        try:
            await grade(self.task, fresh, score_mode=self.score_mode)
        finally:
            await fresh.close()


def _agents(error: InfrastructureError) -> InfrastructureError:
    """Return an error that may be the agent's doing; raise any other."""
    if error.cause not in AGENT_CAUSES:
        raise error
    return error


def _why(outcome: Verdict | InfrastructureError) -> tuple[str, ...]:
    return outcome.evidence if isinstance(outcome, Verdict) else (str(outcome),)


def _compared(
    here: Verdict | InfrastructureError,
    there: Verdict,
    why: tuple[str, ...],
    *,
    trust_disputed: bool,
) -> Verdict:
    if isinstance(here, InfrastructureError):
        if there.reward > 0 or there.evidence:
            return _disputed(there, (*why, *there.evidence), trusted=trust_disputed)
        return _based(there, "settled", why)
    if there.evidence or here.passed != there.passed or abs(here.reward - there.reward) > 1e-9:
        told = f"beside what the agent left {here.reward:g}, with its files alone {there.reward:g}"
        return _disputed(here, (*why, told, *there.evidence), trusted=trust_disputed)
    return _based(there, "settled", why)


def _disputed(verdict: Verdict, evidence: tuple[str, ...], *, trusted: bool) -> Verdict:
    if not trusted:
        verdict = verdict.model_copy(update={"reward": 0.0, "passed": False})
    return _based(verdict, "disputed", evidence)


def _based(verdict: Verdict, basis: Basis, evidence: tuple[str, ...]) -> Verdict:
    distinct = tuple(dict.fromkeys(evidence))
    told = f"[{basis}: {'; '.join(distinct)}]\n{verdict.output}"
    return verdict.model_copy(update={"basis": basis, "evidence": distinct, "output": cap(told)})
