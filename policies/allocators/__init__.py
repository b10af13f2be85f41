"""Allocators: who gets which entangled pairs, at which quality."""

from circuits.errors import InvalidParameter
from circuits.registry import resolve
from policies.allocators.allocation import Allocator

ALLOCATORS: dict[str, str] = {
    "optimum": "policies.allocators.optimum:allocate",  # ours: sparse Newton in log-rates, certified
    "qprimaldual": "policies.allocators.qprimaldual.fluid:allocate",  # Panigrahy et al. 2025, second-hand
    "max_min_fair": "policies.allocators.baselines:max_min_fair",  # Bertsekas and Gallager 1992; best uniform quality
    "max_min_fair_fixed": "policies.allocators.baselines:max_min_fair_fixed",  # the same at w = 0.967
    "proportional_fair": "policies.allocators.baselines:proportional_fair",  # Kelly 1997; best uniform quality
    "greedy": "policies.allocators.baselines:greedy",  # first come, first served
    "random_feasible": "policies.allocators.baselines:random_feasible",  # best of 100 draws
}
"""By name, as ``"module:function"``, with the paper beside it; each takes a network and gives an allocation."""


def load(name: str) -> Allocator:
    """An allocator by name.

    Raises:
        InvalidParameter: no allocator has that name; the message lists those that exist.
    """
    allocator: Allocator = resolve(ALLOCATORS, name, kind="allocator", error=InvalidParameter)
    return allocator
