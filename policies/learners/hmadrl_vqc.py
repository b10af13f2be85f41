"""HMADRL whose actors and critics are variational quantum circuits.

Source: MEQC, IV.C and V.A: a layer of 64 units in, one of 64 units out, a circuit of four qubits between them. The
learner is the same (:mod:`policies.learners.hmadrl`); the paper trains this one for 125 epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

from circuits.parameters import choice, integer
from policies.learners.hmadrl import HMADRL, Config
from policies.learners.kit.networks import NETWORKS


@dataclass(frozen=True)
class VqcConfig(Config):
    """As of HMADRL, but for the network."""

    network: str = choice("vqc", *NETWORKS, doc="what actors and critics are")
    width: int = integer(64, low=8, high=4096, doc="units of a layer (stated)")


class HmadrlVqc(HMADRL):
    """The paper's learner on circuits."""

    config_type = VqcConfig
