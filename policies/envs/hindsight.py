"""What is known of an episode by who knows all of it before: how little a slot can cost in the mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hindsight:
    """Mean cost of a slot that no play is below; ``exact``: whether somebody who knew all of it would attain it."""

    cost: float
    exact: bool
