"""What a user may set, validated once at the edge; every field says what it does.

The field descriptions are what the Prefect form, `--help` and the docs show. Defaults
are those of the documents' tables.
"""

from grindstone.agents.profiles import Profile
from grindstone.settings.autonomy import (
    CompetencySettings,
    FeedbackSettings,
    GraduationSettings,
    RouteSettings,
)
from grindstone.settings.campaign import SimulateSettings
from grindstone.settings.comparisons import (
    CalibrateSettings,
    CompareSettings,
    GateOptions,
    GateSettings,
    ReleaseSettings,
    SearchOptions,
    WarrantSettings,
)
from grindstone.settings.learning import (
    AdaptiveSettings,
    EvolveScope,
    GrindSettings,
    IntegrityOptions,
    OneTaskSettings,
)
from grindstone.settings.runs import Ratio, RunSettings, Settings, default_home, title
from grindstone.settings.words import (
    FeedbackLevel,
    ScoreMode,
    Selection,
    SuccessMode,
    TaskSkillMode,
)

__all__ = [
    "AdaptiveSettings",
    "CalibrateSettings",
    "CompareSettings",
    "CompetencySettings",
    "EvolveScope",
    "FeedbackLevel",
    "FeedbackSettings",
    "GateOptions",
    "GateSettings",
    "GraduationSettings",
    "GrindSettings",
    "IntegrityOptions",
    "OneTaskSettings",
    "Profile",
    "Ratio",
    "ReleaseSettings",
    "RouteSettings",
    "RunSettings",
    "ScoreMode",
    "SearchOptions",
    "Selection",
    "Settings",
    "SimulateSettings",
    "SuccessMode",
    "TaskSkillMode",
    "WarrantSettings",
    "default_home",
    "title",
]
