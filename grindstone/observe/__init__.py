"""Looking at attempts: signals, compression, feedback levels, observations, the judge."""

from grindstone.observe.compression import compress
from grindstone.observe.feedback import Feedback, build_feedback
from grindstone.observe.judge import judge
from grindstone.observe.observation import (
    JudgeVerdict,
    LabelledObservation,
    Observation,
    UnlabelledObservation,
    observe_labelled,
    observe_unlabelled,
    parse_observation,
    render_observations,
)
from grindstone.observe.patterns import JudgedTask, Pattern, find_patterns
from grindstone.observe.signals import Signals, extract_signals

__all__ = [
    "Feedback",
    "JudgeVerdict",
    "JudgedTask",
    "LabelledObservation",
    "Observation",
    "Pattern",
    "Signals",
    "UnlabelledObservation",
    "build_feedback",
    "compress",
    "extract_signals",
    "find_patterns",
    "judge",
    "observe_labelled",
    "observe_unlabelled",
    "parse_observation",
    "render_observations",
]
