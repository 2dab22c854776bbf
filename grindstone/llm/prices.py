"""What tokens cost, from the price tables that come with genai-prices; no network."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Self

from pydantic import NonNegativeFloat, TypeAdapter, ValidationError

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.llm.providers import Provider, Resolved
from grindstone.records import Usage, utc_now

_PROVIDER_IDS = {
    Provider.ANTHROPIC: "anthropic",
    Provider.BEDROCK: "aws",
    Provider.VERTEX: "google",
    Provider.OPENAI: "openai",
    Provider.MESSAGES: None,  # whoever it is: the model's name alone says what it costs
}
OWN_PRICES = "GRINDSTONE_PRICES"
"""A JSON object of `OwnPrice`s by model id; they go before the tables'."""
UNKNOWN = "price unknown"


class Price(NamedTuple):
    """What some usage cost."""

    usd: float | None
    source: str


class OwnPrice(Frozen):
    """What a model's tokens cost, in US dollars per million."""

    input: NonNegativeFloat
    output: NonNegativeFloat
    cache_read: NonNegativeFloat | None = None
    """None: as the rest of the input."""
    cache_write: NonNegativeFloat | None = None


class PriceList(Frozen):
    """Prices that somebody gave, by model id."""

    prices: dict[str, OwnPrice] = {}

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Self:
        """Return the prices in GRINDSTONE_PRICES.

        Raises:
            InputError: It is no JSON object of prices.
        """
        try:
            given = TypeAdapter(dict[str, OwnPrice]).validate_json(environ.get(OWN_PRICES) or "{}")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "value"
            expected = json.dumps({"openai:qwen3": {"input": 0.2, "output": 0.6}})
            raise InputError(OWN_PRICES, f"{where}: {first['msg'].lower()}", expected) from error
        return cls(prices=given)

    def as_variable(self) -> str:
        """Return what GRINDSTONE_PRICES says of them."""
        return json.dumps({name: own.model_dump() for name, own in self.prices.items()})

    def price(self, usage: Usage, model_id: str) -> Price | None:
        """Return what some tokens cost, None where nobody gave a price."""
        own = self.prices.get(model_id) or self.prices.get(model_id.partition("@")[0])
        if own is None:
            return None
        read = own.input if own.cache_read is None else own.cache_read
        written = own.input if own.cache_write is None else own.cache_write
        usd = (
            usage.input_tokens * own.input
            + usage.output_tokens * own.output
            + usage.cache_read_tokens * read
            + usage.cache_write_tokens * written
        ) / 1e6
        return Price(usd, OWN_PRICES)


NO_PRICES = PriceList()


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


def price_of(model: Resolved, usage: Usage, own: PriceList = NO_PRICES) -> Price:
    """Return what some tokens cost at a model's present price, somebody's own before the tables'.

    Args:
        model: Whose tokens.
        usage: The tokens.
        own: What somebody gave.
    """
    given = own.price(usage, model.model_id)
    return given or price(usage, model.name, model.provider, at=utc_now())


def no_price(model_id: str) -> InputError:
    """Return why a ceiling in dollars cannot stand for a model that nobody has a price of."""
    return InputError(
        "max_cost_usd",
        f"the price of {model_id} is unknown, so the ceiling cannot be kept",
        "max_tokens_total instead, or a model with a known price",
    )


def is_priced(model: Resolved, own: PriceList = NO_PRICES) -> bool:
    """Return whether anybody knows what the model's tokens cost today."""
    return price_of(model, Usage(input_tokens=1), own).usd is not None
