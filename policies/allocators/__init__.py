"""Allocators: who gets which entangled pairs, at which quality."""

from circuits.errors import InvalidParameter
from circuits.registry import resolve
from policies.allocators.allocation import Allocator

ALLOCATORS: dict[str, str] = {
    "optimum": "policies.allocators.optimum:allocate",  # ours: sparse Newton in log-rates, certified
}
"""By name, as ``"module:function"``, with the paper beside it; each takes a network and gives an allocation."""


def load(name: str) -> Allocator:
    """An allocator by name.

    Raises:
        InvalidParameter: no allocator has that name; the message lists those that exist.
    """
    allocator: Allocator = resolve(ALLOCATORS, name, kind="allocator", error=InvalidParameter)
    return allocator
