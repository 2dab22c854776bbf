"""The ledger's tables: one frozen row class each, found here by name."""

from types import MappingProxyType

from pydantic import BaseModel

from grindstone.ledger.row import Table, table_of
from grindstone.ledger.tables.attempts import (
    JudgeVerdictRow,
    SignalsRow,
    SkillUseRow,
    StepRow,
    TestResultRow,
    TrajectoryRow,
    VerdictRow,
)
from grindstone.ledger.tables.autonomy import (
    CompetencyRow,
    ComplianceRow,
    InterventionRow,
    JobRow,
    LiveActionRow,
    OutcomeRow,
    RatingRow,
    RoutingAnswerRow,
    RoutingRow,
)
from grindstone.ledger.tables.library import WarrantRow
from grindstone.ledger.tables.releases import ExposureRow, ReleaseRow, TaskPartRow
from grindstone.ledger.tables.runs import (
    BatchRow,
    EglRow,
    EvolutionRow,
    GateDecisionRow,
    GatePairRow,
    IncidentRow,
    PatternRow,
    QuarantineRow,
    RunRow,
    SkillRow,
)
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode

ROW_CLASSES: tuple[type[BaseModel], ...] = (
    RunRow,
    Episode,
    TrajectoryRow,
    StepRow,
    VerdictRow,
    TestResultRow,
    SkillUseRow,
    SignalsRow,
    JudgeVerdictRow,
    PatternRow,
    EvolutionRow,
    SkillRow,
    BatchRow,
    EglRow,
    GatePairRow,
    GateDecisionRow,
    TaskPartRow,
    ExposureRow,
    ReleaseRow,
    WarrantRow,
    IncidentRow,
    QuarantineRow,
    CallRecord,
    LiveActionRow,
    OutcomeRow,
    RoutingRow,
    RoutingAnswerRow,
    CompetencyRow,
    JobRow,
    InterventionRow,
    ComplianceRow,
    RatingRow,
)

TABLES: MappingProxyType[str, Table] = MappingProxyType(
    {table_of(row).name: table_of(row) for row in ROW_CLASSES}
)
"""Every table by its name, in the order the docs show them."""
