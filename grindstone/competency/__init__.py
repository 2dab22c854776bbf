"""The Competency Engine: how good an agent is per domain, what to train, whom to ask.

Names are loaded when they are first used, so importing the room costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.competency.domains import KeywordClassifier as KeywordClassifier
    from grindstone.competency.domains import LLMDomainClassifier as LLMDomainClassifier
    from grindstone.competency.domains import TagClassifier as TagClassifier
    from grindstone.competency.evaluation import Action as Action
    from grindstone.competency.evaluation import CompetencyEval as CompetencyEval
    from grindstone.competency.evaluation import CompetencyResult as CompetencyResult
    from grindstone.competency.graph import DependencyGraph as DependencyGraph
    from grindstone.competency.jobs import TrainingJob as TrainingJob
    from grindstone.competency.jobs import TrainingJobs as TrainingJobs
    from grindstone.competency.jobs import TrainingOutcome as TrainingOutcome
    from grindstone.competency.loop import AutonomousCompetencyLoop as AutonomousCompetencyLoop
    from grindstone.competency.loop import DomainSpec as DomainSpec
    from grindstone.competency.measured import estimates as estimates
    from grindstone.competency.measured import measure as measure
    from grindstone.competency.outcomes import OutcomeLog as OutcomeLog
    from grindstone.competency.router import CompetencyRouter as CompetencyRouter
    from grindstone.competency.router import NotAllowedError as NotAllowedError
    from grindstone.competency.routing import MemberProfile as MemberProfile
    from grindstone.competency.routing import RoutingDecision as RoutingDecision
    from grindstone.competency.routing import Rules as Rules
    from grindstone.competency.tracker import CompetencyTracker as CompetencyTracker

_HOMES = {
    "Action": "evaluation",
    "AutonomousCompetencyLoop": "loop",
    "CompetencyEval": "evaluation",
    "CompetencyResult": "evaluation",
    "CompetencyRouter": "router",
    "CompetencyTracker": "tracker",
    "DependencyGraph": "graph",
    "DomainSpec": "loop",
    "KeywordClassifier": "domains",
    "LLMDomainClassifier": "domains",
    "MemberProfile": "routing",
    "NotAllowedError": "router",
    "OutcomeLog": "outcomes",
    "RoutingDecision": "routing",
    "Rules": "routing",
    "TagClassifier": "domains",
    "TrainingJob": "jobs",
    "TrainingJobs": "jobs",
    "TrainingOutcome": "jobs",
    "estimates": "measured",
    "measure": "measured",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
