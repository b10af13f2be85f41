"""The scoring policy with rounds of requests before it acts: what a little talk between agents is worth.

Source: ours, in the manner of Bertsekas's auction (Annals of Operations Research 14, 1988), what to ask for learned.
The protocol, at most three times before users act:

    each user      sends one server, or none, one request: by how much its QPU would be cheaper for the user
    each server    tells all users the two largest of these savings, who has the largest, and how many users asked

A round is U short messages and E broadcasts of four numbers. Requests bind nobody; nobody learns of another's task,
channels or costs. The same network asks in every round and acts after the last: what was announced is part of what
it sees (:class:`policies.learners.kit.marginals.Told`). It is trained as in :mod:`policies.learners.scoring`, each
round as if it were the last: what a request does to later rounds is not credited to it.

Where the model is linear, the rule :func:`policies.envs.meqc.baselines.bidding` needs no training and comes closer to
the optimum with as many messages. What is learned here holds in every reading, with shared channels, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from circuits.parameters import integer
from policies.learners.scoring import Scoring, ScoringConfig


@dataclass(frozen=True)
class BiddingConfig(ScoringConfig):
    """As for scoring, with three rounds and, as a slot is played four times, less of them."""

    slots: int = integer(96, low=1, high=1_000_000, doc="slots of a batch")
    epochs: int = integer(15, low=1, high=1_000_000, doc="epochs over which the step size falls")
    rounds: int = integer(3, low=1, high=8, doc="rounds of requests before users act")


class Bidding(Scoring):
    """Trains a :class:`policies.learners.kit.scorer.Scorer` that talks first."""

    config_type = BiddingConfig
