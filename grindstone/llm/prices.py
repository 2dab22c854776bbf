"""What tokens cost, from the price tables that come with genai-prices; no network."""

from datetime import datetime
from typing import NamedTuple

from grindstone.llm.providers import Provider
from grindstone.records import Usage, utc_now

_PROVIDER_IDS = {
    Provider.ANTHROPIC: "anthropic",
    Provider.BEDROCK: "aws",
    Provider.VERTEX: "google",
}
UNKNOWN = "price unknown"


class Price(NamedTuple):
    """What some usage cost."""

    usd: float | None
    source: str


def price(
    usage: Usage,
    model_id: str,
    provider: Provider,
    *,
    at: datetime,
    price_as: str | None = None,
) -> Price:
    """Return the price of some tokens in US dollars.

    Args:
        usage: The tokens.
        model_id: The model that used them.
        provider: Who sold them; the same model has another price elsewhere.
        at: When; prices change.
        price_as: Price them as if this Anthropic model had used them: for rehearsals.

    Returns:
        The price with its source; `usd` is None where no table knows the model.
    """
    if price_as is None and provider not in _PROVIDER_IDS:
        return Price(None, UNKNOWN)
    import genai_prices

    source = f"genai-prices {genai_prices.__version__}"
    if price_as is not None:
        model_id, provider = price_as, Provider.ANTHROPIC
        source = f"{source}, priced as {price_as}"
    counted = genai_prices.Usage(
        # This table counts cached tokens among the input; the API does not.
        input_tokens=usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        found = genai_prices.calc_price(
            counted,
            model_id,
            provider_id=_PROVIDER_IDS[provider],
            genai_request_timestamp=at,
        )
    except LookupError:
        return Price(None, UNKNOWN)
    return Price(float(found.total_price), source)


def is_priced(model_id: str, provider: Provider) -> bool:
    """Return whether a table knows what the model's tokens cost today."""
    return price(Usage(input_tokens=1), model_id, provider, at=utc_now()).usd is not None
