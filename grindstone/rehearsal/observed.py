"""Reading an observation file: which attempts failed, and what of each tells the cause."""

import re
from typing import NamedTuple

from grindstone.evolve.prompts import SHARED_FAILURES
from grindstone.observe.feedback import FAILURE_CLASS
from grindstone.observe.judge import PASSING_SCORE
from grindstone.observe.observation import CATEGORY, LOADED, OFFERED, SCORE, TASK, WHAT_IT_DID
from grindstone.observe.signals import LOOPS
from grindstone.records import FailureClass

_TASK = re.compile(rf"^{re.escape(TASK)}(\S+)\s*$", re.MULTILINE)
_CATEGORY = re.compile(rf"^{re.escape(CATEGORY)}(\S+)", re.MULTILINE)
_SCORE = re.compile(rf"^{re.escape(SCORE)}(\d+)", re.MULTILINE)
_SHARED = re.compile(r"^- ([^:\n]+): .*\(tasks ([^;)]+)[;)]", re.MULTILINE)
_NOISE = re.compile(rf"^(?:{'|'.join(map(re.escape, (OFFERED, LOADED, LOOPS)))}).*$", re.MULTILINE)
_ERROR = re.compile(r"^.*(?:Error|error:|fatal:|not found|No such file).*$", re.MULTILINE)
_PASSED = f"{FAILURE_CLASS}{FailureClass.NONE.value}"


class Observed(NamedTuple):
    """A failure, or one that several tasks share."""

    category: str
    text: str


def failures(observation: str, prompt: str) -> tuple[Observed, ...]:
    """Return what went wrong: each failed attempt, or, judged unlabelled, each shared pattern.

    Args:
        observation: The file of observations; when empty the prompt stands in for it.
        prompt: The step's prompt, which lists failures that several tasks share.
    """
    sections = _sections(observation)
    if not sections:
        return (Observed(_category(observation or prompt), observation or prompt),)
    judged = {task: text for task, text in sections.items() if _SCORE.search(text)}
    if judged:
        return tuple(_shared(judged, prompt))
    failed = (text for text in sections.values() if _PASSED not in text)
    return tuple(Observed(_category(text), _telling(text)) for text in failed)


def _sections(observation: str) -> dict[str, str]:
    heads = list(_TASK.finditer(observation))
    ends = [head.start() for head in heads[1:]] + [len(observation)] * bool(heads)
    return {head[1]: observation[head.end() : end] for head, end in zip(heads, ends, strict=True)}


def _shared(judged: dict[str, str], prompt: str) -> list[Observed]:
    _, _, told = prompt.partition(f"## {SHARED_FAILURES}")
    found: list[Observed] = []
    for category, tasks in _SHARED.findall(told.split("\n## ", 1)[0]):
        texts = [judged[task] for task in re.split(r",\s*", tasks.strip()) if task in judged]
        failed = [t for t in texts if int(_SCORE.findall(t)[0]) < PASSING_SCORE]
        if failed:
            found.append(Observed(category.strip(), "\n".join(map(_telling, failed))))
    return found


def _category(text: str) -> str:
    found = _CATEGORY.search(text)
    return found[1] if found else ""


def _telling(text: str) -> str:
    """Leave out the agent's own commands: they tell what it tried, not what was needed."""
    told, _, done = text.partition(WHAT_IT_DID)
    return _NOISE.sub("", told) + "\n" + "\n".join(_ERROR.findall(done))
