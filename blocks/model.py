"""Which model solves, and the credentials to reach it."""

from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, field_validator

from grindstone.blocks.plain import PlainForm
from grindstone.errors import InputError
from grindstone.llm.prices import OWN_PRICES, OwnPrice, PriceList
from grindstone.llm.providers import AUTO, ModelId, check_form


class ModelBlock(Block, PlainForm):
    """A model and its credentials; the key is stored encrypted and never shown."""

    _block_type_name: ClassVar[str] = "Grindstone Model"
    _block_type_slug: ClassVar[str] = "grindstone-model"
    _description: ClassVar[str] = "A model that solves, evolves or judges, with its credentials."

    model_id: ModelId = Field(
        AUTO,
        description="claude-…, us.anthropic.…, claude-…@…, openai:NAME or messages:NAME with @URL "
        "for another address, rehearsal, or auto.",
    )
    api_key: SecretStr | None = Field(None, description="Anthropic API key.")
    base_url: str | None = Field(None, description="Another address that speaks the Messages API.")
    openai_api_key: SecretStr | None = Field(
        None, description="Key of OpenAI, or of whoever speaks its APIs, for openai:NAME."
    )
    openai_base_url: str | None = Field(
        None, description="Another address that speaks OpenAI's APIs; it ends in /v1 as a rule."
    )
    region: str | None = Field(None, description="Cloud region for Bedrock and Vertex.")
    vertex_project: str | None = Field(None, description="Google Cloud project for Vertex.")
    aws_access_key_id: SecretStr | None = Field(None, description="For Bedrock.")
    aws_secret_access_key: SecretStr | None = Field(None, description="For Bedrock.")
    evolver_model_id: ModelId | None = Field(None, description="Empty: the solver's model evolves.")
    judge_model_id: ModelId | None = Field(None, description="Empty: the solver's model judges.")
    prices: dict[str, OwnPrice] = Field(
        {},
        description="US dollars per million tokens by model id, before those of the price tables: "
        '{"openai:qwen3": {"input": 0.2, "output": 0.6}}.',
    )

    requests_per_minute: int | None = Field(
        None, ge=1, description="Requests in a minute, at most, by all with one Prefect server."
    )
    tokens_per_minute: int | None = Field(None, ge=1, description="The same for tokens.")

    @field_validator("model_id", "evolver_model_id", "judge_model_id")
    @classmethod
    def _is_of_a_known_form(cls, given: str | None) -> str | None:
        if given not in (None, ""):
            try:
                check_form("the id", given)
            except InputError as error:
                raise ValueError(f"{error.problem}; expected {error.expected}") from error
        return given

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides."""
        others = (
            *("region", "evolver_model_id", "judge_model_id"),
            *("requests_per_minute", "tokens_per_minute"),
        )
        given = {name: getattr(self, name) for name in others}
        return {"model_id": self.model_id} | {
            name: value for name, value in given.items() if value is not None
        }

    def environ(self) -> dict[str, str]:
        """Return the credentials in the spelling the SDK reads; keep it out of any log."""
        plain = {
            "ANTHROPIC_API_KEY": self.api_key,
            "ANTHROPIC_BASE_URL": self.base_url,
            "OPENAI_API_KEY": self.openai_api_key,
            "OPENAI_BASE_URL": self.openai_base_url,
            OWN_PRICES: PriceList(prices=self.prices).as_variable() if self.prices else None,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws_secret_access_key,
            "ANTHROPIC_VERTEX_PROJECT_ID": self.vertex_project,
            "CLOUD_ML_REGION": self.region,
        }
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in plain.items()
            if value is not None
        }
