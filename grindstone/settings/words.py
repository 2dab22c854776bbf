"""The words a setting may take."""

from enum import StrEnum


class FeedbackLevel(StrEnum):
    """How much of the verifier's word the evolver sees."""

    NONE = "none"
    SCORE = "score"
    TESTS = "tests"
    MASKED = "masked"
    FULL = "full"


class ScoreMode(StrEnum):
    """How a reward becomes a score."""

    REWARD = "reward"
    BINARY = "binary"
    DUAL = "dual"


class TaskSkillMode(StrEnum):
    """When a task gets a skill of its own."""

    OFF = "off"
    RETRY_ONLY = "retry_only"
    PRE_GENERATE_AND_RETRY = "pre_generate_and_retry"


class SuccessMode(StrEnum):
    """What a first-attempt pass teaches."""

    OFF = "off"
    DRAFT_ONLY = "draft_only"
    GATED_PROMOTION = "gated_promotion"


class Selection(StrEnum):
    """How skills are chosen when not all are offered."""

    KEYWORD = "keyword"
    SEMANTIC = "semantic"
