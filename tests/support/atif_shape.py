"""ATIF v1.4 as Harbor's RFC 0001 publishes it, with the rules of its validator."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AtifCall(Shape):
    tool_call_id: str
    function_name: str
    arguments: dict[str, Any]


class AtifResult(Shape):
    source_call_id: str | None = None
    content: str | None = None
    subagent_trajectory_ref: list[dict[str, Any]] | None = None


class AtifObservation(Shape):
    results: list[AtifResult]


class AtifMetrics(Shape):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    prompt_token_ids: list[int] | None = None
    completion_token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    extra: dict[str, Any] | None = None


class AtifStep(Shape):
    """The step of RFC 0001, v1.4, with the rules its validator adds."""

    step_id: int = Field(ge=1)
    timestamp: str | None = None
    source: Literal["system", "user", "agent"]
    model_name: str | None = None
    reasoning_effort: str | float | None = None
    message: str
    reasoning_content: str | None = None
    tool_calls: list[AtifCall] | None = None
    observation: AtifObservation | None = None
    metrics: AtifMetrics | None = None
    extra: dict[str, Any] | None = None

    @field_validator("timestamp")
    @classmethod
    def _is_iso(cls, value: str | None) -> str | None:
        if value is not None:
            datetime.fromisoformat(value)
        return value

    @model_validator(mode="after")
    def _agent_only(self) -> "AtifStep":
        own = (self.model_name, self.reasoning_effort, self.reasoning_content)
        if self.source != "agent":
            assert not any((*own, self.tool_calls, self.metrics)), "for agent steps alone"
        if self.source == "user":
            assert self.observation is None
        calls = {call.tool_call_id for call in self.tool_calls or ()}
        for result in self.observation.results if self.observation else ():
            assert result.source_call_id is None or result.source_call_id in calls
        if self.metrics and self.metrics.cached_tokens:
            assert (self.metrics.prompt_tokens or 0) >= self.metrics.cached_tokens
        return self


class AtifAgent(Shape):
    name: str
    version: str
    model_name: str | None = None
    extra: dict[str, Any] | None = None


class AtifFinal(Shape):
    total_prompt_tokens: int | None = None
    total_completion_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_cost_usd: float | None = None
    total_steps: int | None = None
    extra: dict[str, Any] | None = None


class AtifTrajectory(Shape):
    schema_version: Literal["ATIF-v1.4"]
    session_id: str
    agent: AtifAgent
    steps: list[AtifStep] = Field(min_length=1)
    notes: str | None = None
    final_metrics: AtifFinal | None = None
    extra: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "AtifTrajectory":
        assert [step.step_id for step in self.steps] == list(range(1, len(self.steps) + 1))
        return self
