"""What a call costs: from the domain file, else from the price package where it is installed, else unknown, never zero (O5).

What may be spent is `budget`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alas_assets.domains.config import Price

Cost = Callable[[int, int], float]
"""Cost of tokens sent and received, in the currency of the budget."""

_MILLION = 1_000_000


def cost_of(model: str, url: str, prices: Sequence[Price], currency: str) -> Cost | None:
    """Return how a model's calls are priced, None where that is unknown.

    The price package knows list prices in dollars by provider, so it is asked only for dollars and for an address it knows: a local
    server's `llama` costs what its owner says it does.

    Args:
        model: Its name at the endpoint.
        url: The endpoint.
        prices: What the domain file states.
        currency: Of the budget.
    """
    for price in prices:
        if price.model == model:
            return lambda sent, received, price=price: (sent * price.input + received * price.output) / _MILLION
    return _listed(model, url) if currency.upper() == "USD" else None


def _listed(model: str, url: str) -> Cost | None:
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None

    def cost(sent: int, received: int) -> float:
        return float(calc_price(Usage(input_tokens=sent, output_tokens=received), model_ref=model, provider_api_url=url).total_price)

    try:
        cost(_MILLION, _MILLION)
    except (LookupError, ValueError):
        return None
    return cost
