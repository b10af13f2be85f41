"""What an allocator answers: rates of flows, Werner parameters of links, and the prices that led there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from policies.envs.qnum.network import Network
    from policies.envs.qnum.utilities import Array


@dataclass(frozen=True)
class Allocation:
    """Who gets what.

    Attributes:
        rates_hz: R, pairs per second of each flow.   float64 (N,)
        werner: w, Werner parameter that each link works at.   float64 (L,)
        prices: λ of each link, utility per pair and second, or None if there are none.   float64 (L,)
        quality_prices: μ of each flow's minimum quality, or None.   float64 (N,)
    """

    rates_hz: Array
    werner: Array
    prices: Array | None = None
    quality_prices: Array | None = None


class Allocator(Protocol):
    """Decides for all flows of a network; what else it needs has defaults."""

    def __call__(self, network: Network, **options: Any) -> Allocation:
        """An allocation that is feasible: no link makes more than d (1 - w).

        Raises:
            InvalidParameter: there is none; the message says why.
        """
