"""Seeds of parts from the seed of the whole: far apart for every part, the same each time."""

from __future__ import annotations

import hashlib

BITS = 31
"""Every simulator takes seeds of so many bits."""


def derive(seed: int, *path: int | str) -> int:
    """The seed of the part that ``path`` names, in [0, 2**31).

    Neighbouring seeds or parts share nothing: adding a number instead would give the second round of one job the
    random numbers of the first round of the next.
    """
    digest = hashlib.blake2b(repr((seed, *path)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> (32 - BITS)
