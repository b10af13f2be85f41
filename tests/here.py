"""Which backends this machine can serve."""

from __future__ import annotations

from backends import load
from backends.errors import NotHere


def is_here(name: str) -> bool:
    """Whether its SDK is installed and its hardware is at hand."""
    try:
        load(name).device()
    except NotHere:
        return False
    return True
