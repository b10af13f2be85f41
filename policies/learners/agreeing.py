"""The going policy with talk before it acts: users of a QCN say where they go, places answer, users change their minds.

Source: ours; best responses in turns, as in congestion games (Rosenthal 1973; Monderer and Shapley 1996), to the cost
of all and with a first proposal and shares that are learned. The protocol, so many times before users act:

    each user      sends the place where it goes, and by how much it would pay more or less with one user more or less
    each place     tells all users how many come, and the sums of these numbers

From them each user works out, exactly, what the cost of all rises by at each place if the others stay as they are
(:class:`policies.learners.kit.crowding.Answers`). All propose at once; then one group of users after the other may
change its mind, so that not all run to the same empty place; in the last round only shares are changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from circuits.parameters import integer, real
from policies.learners.going import Config, Going


@dataclass(frozen=True)
class AgreeingConfig(Config):
    """As for going, with two turns of each of five groups and, as a slot is played twelve times, less of them."""

    slots: int = integer(24, low=1, high=1_000_000, doc="slots of a batch")
    updates: int = integer(25, low=1, high=1_000_000, doc="steps of an epoch, each on fresh slots")
    epochs: int = integer(2, low=1, high=1_000_000, doc="epochs over which the step size falls")
    entropy: float = real(2e-3, low=0.0, high=10.0, doc="first weight of the entropy bonus")
    learning_rate: float = real(2e-3, low=1e-8, high=1.0, doc="first step size of Adam")
    rounds: int = integer(11, low=1, high=100, doc="rounds of talk before users act")
    groups: int = integer(5, low=1, high=1000, doc="groups of users that take turns to change their minds")


class Agreeing(Going):
    """Trains a :class:`policies.learners.kit.goer.Goer` that talks first."""

    config_type = AgreeingConfig
