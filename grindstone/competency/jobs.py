"""Training jobs: one active per agent and domain, claimed by creating a file.

    <home>/competency/jobs/<agent>/<domain>/000001.json      a job, as it was ordered
    <home>/competency/jobs/<agent>/<domain>/000001.cancel    it is to stop
    <home>/competency/jobs/<agent>/<domain>/000001.ended     it is no longer active

A job's number is claimed by exclusive creation, and the next number can be claimed only
when the last job has ended: of any number of loops that want the same domain trained, one
gets it. What became of each is in the ledger's `jobs` table. A job whose process died stays
active, and the next one to run jobs takes it up again under the same run key. In a remote home
the files are in storage first, and claimed there.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import AwareDatetime, Field, NonNegativeInt, PositiveInt

from grindstone.base import Frozen
from grindstone.benchmark import load_tasks
from grindstone.competency.checking import folded, number
from grindstone.competency.evaluation import CompetencyResult
from grindstone.digest import digest
from grindstone.errors import GrindstoneError, InputError
from grindstone.files import read_record
from grindstone.home import Home
from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.autonomy import JobRow
from grindstone.records import utc_now
from grindstone.runs.remote_lock import RemoteLock
from grindstone.runs.task_set import is_sent, put_tasks
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.lock import WriterLock

Kind = Literal["grind", "adapt"]
Ending = Literal["done", "unproven", "unhelpful", "failed", "cancelled"]
"""Done is shown on tasks that were not trained on; unproven is what helped on the others alone."""
Status = Literal["queued", "running", "done", "unproven", "unhelpful", "failed", "cancelled"]
IN_VAIN = ("unhelpful", "failed")


class TrainingJob(Frozen):
    """One domain of one agent, to be trained."""

    job_id: str = Field(description="Also the key of the run that trains.")
    number: PositiveInt = Field(description="Counts the jobs of this agent and domain.")
    agent_id: str
    domain: str
    kind: Kind = "grind"
    data_path: str = Field("", description="Folder of the domain's tasks; empty: by category.")
    priority: float | None = None
    before: float | None = Field(None, description="Competency when the job was ordered.")
    at: AwareDatetime


class TrainingOutcome(Frozen):
    """What a runner made of a job; competencies on the base's scale."""

    status: Ending
    before: float | None = None
    after: float | None = None
    note: str = ""


Runner = Callable[[TrainingJob], TrainingOutcome]


class TrainingJobs:
    """The training jobs of one agent. Any number of processes may use them at once."""

    def __init__(
        self,
        home: Home | Path | str = "evolution_workdir",
        agent_id: str = "skillbench",
        *,
        kind: Kind = "grind",
        runner: Runner | None = None,
    ) -> None:
        """Name the home and the agent.

        Args:
            home: The folder everything is kept in.
            agent_id: Whose jobs.
            kind: How a job trains.
            runner: Trains; None: jobs wait until `grindstone compete` or a worker runs them.
        """
        self.home = Home.at(home)
        self.agent_id = agent_id
        self.kind = kind
        self.runner = runner
        self.ledger = Ledger(self.home)
        self._folder = self.home.jobs(agent_id)
        self._mirror = self.home.mirror
        self._run_key = f"jobs.{agent_id}"

    def enqueue_from_competency(
        self,
        result: CompetencyResult,
        *,
        max_jobs: int = 1,
        deficit_threshold: float = 0.0,
        data_paths: Mapping[str, str] | None = None,
        leave_out: Collection[str] = (),
    ) -> list[TrainingJob]:
        """Order training for the most urgent domains, but for those left out.

        First what cannot be ordered is filtered out (unknown domains, deficits below the
        threshold, domains with an active job), then the rest is cut to `max_jobs`. Domains
        whose last job was in vain come after the others, so that one that cannot be
        trained does not keep them waiting for ever.

        Returns:
            The jobs this call ordered; none for what another process ordered meanwhile.
        """
        most = int(number("max_jobs", max_jobs, low=0, high=1e6))
        paths = data_paths or {}
        last = {row.domain: row.status for row in self.latest()}
        actions = [
            action
            for action in result.actions(deficit_threshold)
            if action.domain not in leave_out and self.active(action.domain) is None
        ]
        actions.sort(key=lambda action: last.get(action.domain) in IN_VAIN)  # stable
        ordered: list[TrainingJob] = []
        for action in actions:
            if len(ordered) == most:
                break
            job = self.enqueue(
                action.domain,
                priority=action.priority,
                before=result.domains[action.domain],
                data_path=paths.get(action.domain, ""),
            )
            if job is not None:
                ordered.append(job)
        return ordered

    def enqueue(
        self,
        domain: str,
        *,
        priority: float | None = None,
        before: float | None = None,
        data_path: str = "",
    ) -> TrainingJob | None:
        """Order one domain's training.

        Args:
            domain: Its name.
            priority: The most urgent job is run first.
            before: The domain's competency now.
            data_path: A folder of tasks to train on; in a remote home they are put into storage,
                and the job names them there.

        Returns:
            None when the domain has an active job already.

        Raises:
            InputError: The domain is empty; or the home is remote and the folder has no task.
            InfrastructureError: The storage of a remote home did not take the tasks.
        """
        if not domain.strip():
            raise InputError("domain", "is empty", "the domain to train")
        folder = self._domain_folder(domain)
        self._bring_here()
        numbers = _numbers(folder)
        if numbers and not _ended(folder, numbers[-1]):
            return None
        following = (numbers[-1] if numbers else 0) + 1
        if data_path and self._mirror is not None and not is_sent(data_path):
            tasks = load_tasks(Path(data_path)).tasks
            data_path = put_tasks(self._mirror, tasks)
        job = TrainingJob(
            job_id=self._job_id(domain, following),
            number=following,
            agent_id=self.agent_id,
            domain=domain,
            kind=self.kind,
            data_path=data_path,
            priority=priority,
            before=before,
            at=utc_now(),
        )
        if not self.home.files.claim(
            folder / f"{following:06d}.json", job.model_dump_json(indent=2)
        ):
            return None
        self._append(job, "queued", before=before)
        return job

    def active(self, domain: str | None = None) -> TrainingJob | None:
        """Return the active job of a domain, or the most urgent one of all."""
        found = [
            job for job in self.pending() if domain is None or folded(job.domain) == folded(domain)
        ]
        return found[0] if found else None

    def pending(self) -> list[TrainingJob]:
        """Return the jobs that have not ended, the most urgent first."""
        self._bring_here()
        jobs = []
        for folder in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            numbers = _numbers(folder) if folder.is_dir() else []
            if numbers and not _ended(folder, numbers[-1]):
                jobs.append(_read(folder / f"{numbers[-1]:06d}.json"))
        return sorted(jobs, key=lambda job: -(job.priority or 0.0))

    def start(self, job: TrainingJob) -> None:
        """Note that a job is being run, or run again."""
        self._append(job, "running", before=job.before)

    def note(self, job: TrainingJob, text: str) -> None:
        """Note what kept a job from beginning; it stays in its state."""
        self._append(job, self.status(job.job_id), before=job.before, note=text[:500])

    def finish(self, job: TrainingJob, outcome: TrainingOutcome) -> None:
        """Note what became of a job; the domain can be ordered again from then on."""
        self._append(
            job, outcome.status, before=outcome.before, after=outcome.after, note=outcome.note
        )
        self.home.files.claim(
            self._domain_folder(job.domain) / f"{job.number:06d}.ended", outcome.status
        )

    def cancel(self, job_id: str) -> Status:
        """Have a job stop: at once when it has not begun, else before its next step.

        One whose process died ends when the next training of the agent takes it up, and takes
        back what it had learned.

        Returns:
            Its status now; an ended job keeps its own.

        Raises:
            InputError: There is no such job.
        """
        job = next((each for each in self.pending() if each.job_id == job_id), None)
        if job is None:
            return self.status(job_id)
        self.home.files.claim(
            self._domain_folder(job.domain) / f"{job.number:06d}.cancel", "cancelled"
        )
        with self.alone() as alone:
            begun = self.status(job_id) == "running"
            if alone and not begun and self.active(job.domain) == job:
                self.finish(job, TrainingOutcome(status="cancelled", note="before it ran"))
        return self.status(job_id)

    def cancelled(self, job: TrainingJob) -> bool:
        """Return whether a job is to stop."""
        self._bring_here()
        return (self._domain_folder(job.domain) / f"{job.number:06d}.cancel").exists()

    def status(self, job_id: str) -> Status:
        """Return a job's present state.

        Raises:
            InputError: There is no such job.
        """
        rows = [row for row in self.history() if row.job_id == job_id]
        if rows:
            return rows[-1].status  # type: ignore[return-value]
        if any(job.job_id == job_id for job in self.pending()):
            return "queued"
        raise InputError("job_id", f"no job is called {job_id!r}", f"a job of {self.agent_id}")

    def history(self) -> list[JobRow]:
        """Return every change of state of every job, in order."""
        rows = self.ledger.rows(JobRow, self._run_key)
        return sorted(rows, key=lambda row: (row.at, row.job_id, row.sequence))

    def latest(self) -> list[JobRow]:
        """Return the last state of each domain's last job."""
        return list({row.domain: row for row in self.history()}.values())

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Be the only one that trains this agent; gives False when another one is.

        Two trainings of one workspace at once would undo each other. The lock is freed when
        its holder dies; of one on another machine that is known after a minute.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / ".training"
        with ExitStack() as held:
            try:
                held.enter_context(WriterLock(place, timeout_s=0.0).hold())
                if self._mirror is not None:
                    held.enter_context(RemoteLock(self._mirror, place).hold(wait=False))
            except (WorkspaceError, TimeoutError):
                yield False
                return
            yield True

    def run_pending(self) -> list[TrainingOutcome]:
        """Run every active job with the runner, one after another; none when another one does.

        Raises:
            InputError: There is no runner.
        """
        if self.runner is None:
            raise InputError("runner", "is missing", "TrainingJobs(…, runner=…)")
        with self.alone() as alone:
            return [self._run(job, self.runner) for job in self.pending()] if alone else []

    def _run(self, job: TrainingJob, runner: Runner) -> TrainingOutcome:
        if self.cancelled(job):
            outcome = TrainingOutcome(status="cancelled", note="before it ran")
        else:
            self.start(job)
            try:
                outcome = runner(job)
            except GrindstoneError as error:
                outcome = TrainingOutcome(status="failed", note=str(error)[:500])
            except Exception as error:
                # The runner is the caller's and may raise anything: the job must end all the
                # same, or its domain could never be ordered again. A killed process is no
                # Exception, and its job is taken up again.
                self.finish(job, TrainingOutcome(status="failed", note=repr(error)[:500]))
                raise
        self.finish(job, outcome)
        return outcome

    def _append(
        self,
        job: TrainingJob,
        status: Status,
        *,
        before: float | None = None,
        after: float | None = None,
        note: str = "",
    ) -> None:
        """Append a change of state under the next sequence that nobody else took."""
        while True:
            rows = [each for each in self.history() if each.job_id == job.job_id]
            row = JobRow(
                job_id=job.job_id,
                sequence=max((each.sequence for each in rows), default=-1) + 1,
                domain=job.domain,
                agent_id=job.agent_id,
                kind=job.kind,
                status=status,
                priority=job.priority,
                job_run_key=job.job_id,
                before=before,
                after=after,
                note=note,
                at=utc_now(),
            )
            self.ledger.append([row], run_key=self._run_key)
            kept = self.ledger.rows(JobRow, self._run_key)
            if row in kept:
                return

    def _bring_here(self) -> None:
        if self._mirror is not None:
            self._mirror.pull(self._folder, lambda name: not name.endswith(".training"))

    def _job_id(self, domain: str, sequence: NonNegativeInt) -> str:
        short = re.sub(r"[^a-z0-9]+", "-", domain.lower()).strip("-")[:40] or "domain"
        mark = digest([self.agent_id, folded(domain)])[:8]
        return f"train-{short}-{mark}-{sequence:04d}"

    def _domain_folder(self, domain: str) -> Path:
        return self._folder / quote(folded(domain), safe="")


TrainingJobManager = TrainingJobs
"""The name under which the documents know it."""


def _numbers(folder: Path) -> list[int]:
    names = folder.glob("[0-9]*.json") if folder.is_dir() else ()
    return sorted(int(path.stem) for path in names if path.stem.isdigit())


def _ended(folder: Path, sequence: int) -> bool:
    return (folder / f"{sequence:06d}.ended").exists()


def _read(path: Path) -> TrainingJob:
    return read_record(path, TrainingJob, "training job")
