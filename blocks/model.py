"""Which model solves, and the credentials to reach it."""

from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr


class ModelBlock(Block):
    """A model and its credentials; the key is stored encrypted and never shown."""

    _block_type_name: ClassVar[str] = "Grindstone Model"
    _block_type_slug: ClassVar[str] = "grindstone-model"
    _description: ClassVar[str] = "A model that solves, evolves or judges, with its credentials."

    model_id: str = Field(
        "auto", description="claude-…, us.anthropic.…, claude-…@…, rehearsal, or auto."
    )
    api_key: SecretStr | None = Field(None, description="Anthropic API key.")
    base_url: str | None = Field(None, description="Another address that speaks the Messages API.")
    region: str | None = Field(None, description="Cloud region for Bedrock and Vertex.")
    vertex_project: str | None = Field(None, description="Google Cloud project for Vertex.")
    aws_access_key_id: SecretStr | None = Field(None, description="For Bedrock.")
    aws_secret_access_key: SecretStr | None = Field(None, description="For Bedrock.")
    evolver_model_id: str | None = Field(None, description="Empty: the solver's model evolves.")

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides."""
        found: dict[str, Any] = {"model_id": self.model_id}
        if self.region is not None:
            found["region"] = self.region
        if self.evolver_model_id is not None:
            found["evolver_model_id"] = self.evolver_model_id
        return found

    def environ(self) -> dict[str, str]:
        """Return the credentials in the spelling the SDK reads; keep it out of any log."""
        plain = {
            "ANTHROPIC_API_KEY": self.api_key,
            "ANTHROPIC_BASE_URL": self.base_url,
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
