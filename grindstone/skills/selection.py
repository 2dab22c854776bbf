"""Which skills are offered for a task: all, by shared words, or by meaning.

An index is made once for a library and answers many queries.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

from grindstone.skills.format import Skill

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Method = Literal["all", "keyword", "semantic", "bm25"]

MIN_WORD = 4
"""Shorter words carry no weight: the documents' rule is len > 3."""
CATEGORY_BONUS = 5
MIN_SCORE = 2


class Selected(NamedTuple):
    """A skill to offer."""

    name: str
    score: float  # a count of words; a cosine in [-1, 1]; a BM25 score; 0 where all are taken
    reason: str  # for a person; says when BM25 stood in for meaning
    method: Method = "all"  # what ranked it; bm25 where that stood in for semantic


class SkillIndex(Protocol):
    """A library made ready for queries."""

    def select(self, task_text: str, *, category: str = "", limit: int) -> tuple[Selected, ...]:
        """Return at most `limit` skills, the best first, ties in the order of names."""
        ...


class AllIndex:
    """Offers every skill."""

    def __init__(self, skills: Iterable[Skill]) -> None:
        """Take the library."""
        self._names = sorted(skill.name for skill in skills)

    def select(
        self, task_text: str = "", *, category: str = "", limit: int = 0
    ) -> tuple[Selected, ...]:
        """Return all skills in the order of names, or the first `limit`."""
        names = self._names[:limit] if limit else self._names
        return tuple(Selected(name, 0.0, "all skills are offered") for name in names)


class KeywordIndex:
    """Scores as the documents do.

    One point for each word of the name, and one for each word of the description, that the
    task has too; 5 more where the categories share a word. Skills with 2 or more are taken.
    """

    def __init__(self, skills: Iterable[Skill]) -> None:
        """Index the library."""
        import numpy as np

        ordered = sorted(skills, key=lambda skill: skill.name)
        self._names = [skill.name for skill in ordered]
        self._by_name = _postings(words(skill.name) for skill in ordered)
        self._by_description = _postings(words(skill.description) for skill in ordered)
        self._by_category = _postings(_category_words(skill.category) for skill in ordered)
        self._zeros = np.zeros(len(ordered), dtype=np.int64)

    def select(self, task_text: str, *, category: str = "", limit: int) -> tuple[Selected, ...]:
        """Return at most `limit` skills with a score of 2 or more."""
        import numpy as np

        shared = self._zeros.copy()
        for word in words(task_text):
            for postings in (self._by_name, self._by_description):
                if word in postings:
                    shared[postings[word]] += 1
        bonus = self._zeros.copy()
        for word in _category_words(category):
            if word in self._by_category:
                bonus[self._by_category[word]] = CATEGORY_BONUS
        scores = shared + bonus
        taken = [at for at in _best(scores.astype(np.float64), limit) if scores[at] >= MIN_SCORE]
        return tuple(
            Selected(
                self._names[at],
                float(scores[at]),
                _shared_reason(shared[at], bonus[at]),
                "keyword",
            )
            for at in taken
        )


class Bm25Index:
    """Ranks by BM25 over name, description and first section."""

    def __init__(self, skills: Iterable[Skill], *, why: str = "ranked by BM25") -> None:
        """Index the library; `why` becomes the reason of each result."""
        import bm25s  # type: ignore[import-untyped]

        ordered = sorted(skills, key=lambda skill: skill.name)
        self._names = [skill.name for skill in ordered]
        self._why = why
        corpus = [_terms(essence(skill)) for skill in ordered]
        self._index = None
        if any(corpus):
            self._index = bm25s.BM25()
            self._index.index(corpus, show_progress=False)
            self._known = frozenset(self._index.vocab_dict)

    def select(self, task_text: str, *, category: str = "", limit: int) -> tuple[Selected, ...]:
        """Return at most `limit` skills that share a term with the task."""
        terms = [term for term in _terms(f"{task_text} {category}") if self._index is not None]
        terms = [term for term in terms if term in self._known]
        if self._index is None or not terms:
            return ()
        scores = self._index.get_scores(terms)
        return tuple(
            Selected(self._names[at], float(scores[at]), self._why, "bm25")
            for at in _best(scores, limit)
            if scores[at] > 0
        )


class SemanticIndex:
    """Ranks by the cosine between sentence embeddings of skill and task."""

    def __init__(self, skills: Iterable[Skill]) -> None:
        """Embed the library; skills embedded before in this process are not embedded again.

        Raises:
            EmbeddingsUnavailableError: The weights or a library of them are not installed.
        """
        from grindstone.skills.embedding import embedder

        ordered = sorted(skills, key=lambda skill: skill.name)
        self._names = [skill.name for skill in ordered]
        self._embedder = embedder()
        self._vectors = self._embedder.embed_kept([essence(skill) for skill in ordered])

    @classmethod
    def of(cls, names: Sequence[str], vectors: "NDArray[np.float32]") -> Self:
        """Return an index of vectors that were made before, one row for each name."""
        from grindstone.skills.embedding import embedder

        index = cls.__new__(cls)
        index._names, index._vectors, index._embedder = list(names), vectors, embedder()
        return index

    def select(self, task_text: str, *, category: str = "", limit: int) -> tuple[Selected, ...]:
        """Return the `limit` skills nearest in meaning."""
        from grindstone.skills.embedding import QUERY_TOKENS

        if not self._names:
            return ()
        text = f"{category}. {task_text}" if category else task_text
        query = self._embedder.embed([text], tokens=QUERY_TOKENS)[0]
        scores = self._vectors @ query
        return tuple(
            Selected(self._names[at], float(scores[at]), "near in meaning", "semantic")
            for at in _best(scores, limit)
        )


def build_index(skills: Iterable[Skill], method: Method) -> SkillIndex:
    """Return an index; by meaning it falls back to BM25 where the weights are absent."""
    if method == "all":
        return AllIndex(skills)
    if method == "keyword":
        return KeywordIndex(skills)
    if method == "bm25":
        return Bm25Index(skills)
    from grindstone.skills.embedding import EmbeddingsUnavailableError

    kept = tuple(skills)
    try:
        return SemanticIndex(kept)
    except EmbeddingsUnavailableError as error:
        return Bm25Index(kept, why=f"ranked by BM25, since {error}")


def select_skills(
    skills: Iterable[Skill],
    task_text: str,
    *,
    category: str = "",
    limit: int = 0,
    method: Method = "keyword",
) -> tuple[Selected, ...]:
    """Return the skills to offer for a task, the best first.

    Args:
        skills: The library.
        task_text: The task's instruction.
        category: The task's category.
        limit: How many at most; 0 offers all, whatever the method.
        method: How relevance is measured.
    """
    if limit == 0:
        return AllIndex(skills).select(task_text, category=category)
    return build_index(skills, method).select(task_text, category=category, limit=limit)


def words(text: str) -> frozenset[str]:
    """Return the lower-case words of more than three letters or digits."""
    return frozenset(word for word in _terms(text) if len(word) >= MIN_WORD)


def essence(skill: Skill) -> str:
    """Return what stands for a skill: its name, description and first section."""
    lines = skill.body.strip().splitlines()
    headings = [at for at, line in enumerate(lines) if re.match(r"#{1,2}\s", line)]
    end = next((at for at in headings if any(lines[:at]) and at > headings[0]), len(lines))
    section = "\n".join(lines[:end])[:1_000]
    return f"{skill.name.replace('-', ' ')}. {skill.description}\n{section}"


def _terms(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _category_words(category: str) -> frozenset[str]:
    return frozenset(_terms(category))


def _postings(texts: Iterable[frozenset[str]]) -> dict[str, "NDArray[np.int64]"]:
    import numpy as np

    lists: defaultdict[str, list[int]] = defaultdict(list)
    for at, text in enumerate(texts):
        for word in text:
            lists[word].append(at)
    return {word: np.array(found, dtype=np.int64) for word, found in lists.items()}


def _best(scores: "NDArray[np.floating]", limit: int) -> Sequence[int]:
    """Positions of the highest scores; equal ones in the order of positions."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    return [int(at) for at in order[:limit]]


def _shared_reason(shared: int, bonus: int) -> str:
    reason = f"{shared} shared word{'' if shared == 1 else 's'}"
    return f"{reason}, same category" if bonus else reason
