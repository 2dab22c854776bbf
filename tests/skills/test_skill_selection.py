import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grindstone.benchmark import load_task
from grindstone.resources import bundled
from grindstone.skills import Skill, SkillLibrary, build_index, select_skills
from grindstone.skills import embedding as embedding_module
from grindstone.skills.selection import SemanticIndex, essence

LIBRARY = (
    Skill(name="energy-market", description="When energy prices are forecast", category="energy"),
    Skill(name="data-formats", description="When reading CSV or Excel spreadsheets"),
    Skill(name="git-history", description="When repairing a git repository's commits"),
    Skill(name="log-analysis", description="When counting errors in server logs"),
)


def by_the_documents(skills, task, category, limit):
    """The documents' loop, written out."""
    task_words = set(re.findall(r"[^\W_]+", task.lower()))
    scored = []
    for skill in skills:
        score = sum(len(w) > 3 and w in task_words for w in set(skill.name.split("-")))
        description = set(re.findall(r"[^\W_]+", skill.description.lower()))
        score += sum(len(w) > 3 and w in task_words for w in description)
        theirs = set(re.findall(r"[^\W_]+", skill.category.lower()))
        if theirs & set(re.findall(r"[^\W_]+", category.lower())):
            score += 5
        scored.append((-score, skill.name))
    return [(name, float(-score)) for score, name in sorted(scored) if score <= -2][:limit]


WORDS = st.sampled_from(
    ["energy", "market", "excel", "logs", "errors", "git", "commits", "repair", "the", "of"]
)
TEXT = st.lists(WORDS, max_size=8).map(" ".join)
SKILLS = st.lists(
    st.builds(
        Skill,
        name=st.lists(WORDS, min_size=1, max_size=3).map("-".join),
        description=TEXT.map(lambda text: f"When {text}"),
        category=st.sampled_from(["", "energy", "data-energy", "logs"]),
    ),
    max_size=8,
    unique_by=lambda skill: skill.name,
)


@settings(deadline=None)
@given(skills=SKILLS, task=TEXT, category=st.sampled_from(["", "energy", "logs"]))
def test_keyword_scores_are_the_documents(skills, task, category):
    found = select_skills(skills, task, category=category, limit=3)
    assert [(s.name, s.score) for s in found] == by_the_documents(skills, task, category, 3)


def test_no_limit_offers_all_in_the_order_of_names():
    found = select_skills(reversed(LIBRARY), "anything", method="semantic")
    assert [selected.name for selected in found] == sorted(skill.name for skill in LIBRARY)


def test_order_of_the_library_changes_nothing():
    task = "count the errors in the logs, and read the spreadsheets"
    for method in ("keyword", "bm25"):
        once = select_skills(LIBRARY, task, limit=2, method=method)
        shuffled = list(LIBRARY)
        random.Random(3).shuffle(shuffled)
        assert select_skills(shuffled, task, limit=2, method=method) == once
        assert "log-analysis" in {selected.name for selected in once}


@pytest.mark.parametrize("method", ["keyword", "bm25", "semantic", "all"])
def test_an_empty_library_offers_nothing(method):
    assert select_skills([], "task", limit=3, method=method) == ()
    assert build_index([], method).select("", limit=3) == ()


def test_bm25_offers_nothing_that_shares_no_term():
    assert build_index(LIBRARY, "bm25").select("zzz qqq", limit=3) == ()


def test_without_the_weights_bm25_stands_in_and_says_so(monkeypatch):
    monkeypatch.setattr(embedding_module, "PACKAGE", "a_package_that_is_not_installed")
    embedding_module.embedder.cache_clear()
    found = select_skills(LIBRARY, "errors in server logs", limit=1, method="semantic")
    embedding_module.embedder.cache_clear()
    assert found[0].name == "log-analysis"
    assert "BM25, since the weights" in found[0].reason


@pytest.fixture
def embedder():
    try:
        return embedding_module.embedder()
    except embedding_module.EmbeddingsUnavailableError as error:
        pytest.skip(str(error))


def test_vectors_are_the_published_models(embedder):
    # The first components that sentence-transformers gives for these two sentences.
    vectors = embedder.embed(["This is an example sentence", "Each sentence is converted"])
    assert vectors.shape == (2, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0][:3] == pytest.approx([0.0676569, 0.0634959, 0.0487131], abs=1e-5)
    assert vectors[1][:3] == pytest.approx([0.0864386, 0.1027626, 0.0053946], abs=1e-5)


def test_meaning_is_found_without_shared_words(embedder):
    found = build_index(LIBRARY, "semantic").select(
        "turn a comma separated table into a workbook with two tabs", limit=1
    )
    assert found[0].name == "data-formats"
    assert found[0].reason == "near in meaning"


def test_padding_changes_no_vector(embedder):
    alone = embedder.embed(["short text"])[0]
    beside = embedder.embed(["short text", "a much longer text " * 20])[0]
    assert np.allclose(alone, beside, atol=1e-5)


def test_an_index_is_reused_and_embeds_a_skill_once(embedder):
    SemanticIndex(LIBRARY)
    before = len(embedder._kept)
    SemanticIndex(LIBRARY)
    assert len(embedder._kept) == before


def test_essence_is_name_description_and_first_section():
    skill = Skill(name="a-b", description="When c.", body="## One\n\ntext\n\n## Two\n\nmore")
    assert essence(skill).startswith("a b. When c.")
    assert "text" in essence(skill)
    assert "more" not in essence(skill)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["keyword", "bm25"])
def test_ten_thousand_skills_answer_in_milliseconds(method):
    import time

    chance = random.Random(5)
    vocabulary = [f"word{n}" for n in range(2000)]
    skills = [
        Skill(name=f"skill-{n}", description="When " + " ".join(chance.sample(vocabulary, 15)))
        for n in range(10_000)
    ]
    index = build_index(skills, method)
    queries = [" ".join(chance.sample(vocabulary, 100)) for _ in range(10)]
    index.select(queries[0], limit=5)
    started = time.process_time()
    for query in queries:
        index.select(query, limit=5)
    assert (time.process_time() - started) / len(queries) < 0.02


def test_a_starter_skill_is_offered_for_the_tasks_of_its_category():
    seed = bundled("seed_workspaces/skillbench")
    for name in ("branch-sales", "plain-inventory", "supplier-prices"):
        task = load_task(bundled("examples/tasks") / name)
        offered = select_skills(
            SkillLibrary(seed).skills(), task.instruction, category=task.category, limit=2
        )
        assert offered[0].name == "data-formats", name
        assert "same category" in offered[0].reason
