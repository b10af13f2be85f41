"""Chance by counters: a number in [0, 1) for each (seed, purpose, slot, item), whatever was drawn before.

So every policy meets the same luck of links and swaps (common random numbers), and nothing has to be drawn in order.
The mixing function is that of SplitMix64 (Steele, Lea and Flood 2014), applied to the seed's key and slot, and again to
the item. This is the NumPy version; the kernel has its own, equal bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GENERATION, SWAP, PURIFICATION, TIE, HOLD, EXPLORE = range(6)
NUM_STREAMS = 6
"""Purposes, each a stream of its own: links, swaps, purification; drawn paths, back-off, drawn shares."""

Bits = NDArray[np.uint64]
STEP = np.uint64(0x9E3779B97F4A7C15)
ITEM = np.uint64(0xD1342543DE82EF95)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
UNIT = 2.0**-53


def mixed(bits: Bits) -> Bits:
    """64 bits that depend on all of these; uint64 arrays."""
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    return bits ^ (bits >> np.uint64(31))


def key(seed: int, purpose: int) -> np.uint64:
    """Of a stream."""
    start = np.array([seed], dtype=np.uint64) * STEP
    return np.uint64(mixed(mixed(start) + np.array([purpose + 1], dtype=np.uint64) * ITEM)[0])


def uniforms(of: np.uint64, slot: int, items: Any) -> NDArray[np.float64]:
    """A number in [0, 1) for each item of a slot.

    Args:
        of: :func:`key` of the stream.   items: non-negative whole numbers, any shape.
    """
    begun = mixed(np.array([of], dtype=np.uint64) + np.array([slot], dtype=np.uint64) * STEP)
    bits = mixed(begun + np.asarray(items, dtype=np.uint64) * ITEM)
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) * UNIT)
