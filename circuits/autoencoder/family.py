"""The family: one state of a trained ensemble, compressed and judged by how empty the discarded qubits are.

Source: Romero, Olson, Aspuru-Guzik, "Quantum autoencoders for efficient compression of quantum data", Quantum Science
and Technology 2 (2017) 045001. Encoders are trained beforehand (``qorch autoencoder train``, and for those that ship
``examples/benchmarks/autoencoders.py``); nothing is trained here. Deviation: see :mod:`circuits.autoencoder.estimators`
for why the SWAP test of the paper is an option and not the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from circuits.autoencoder.estimators import ESTIMATORS, decode_fidelities, fidelity, trash_fidelities
from circuits.autoencoder.preparation import real_state_preparation
from circuits.autoencoder.records import SHIPPED, SHIPPED_LATENTS, Encoder, shipped
from circuits.autoencoder.states import FIELDS, INTERACTIONS, digits, hubbard_ground_state, tfim_ground_state
from circuits.family import Counts
from circuits.parameters import choice, integer, real, refuse, validate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Autoencoder:
    """Compress one state and look at what is thrown away.

    Attributes:
        num_qubits: qubits of the state.
        num_latent: qubits that are kept.
        field: transverse field h of the state, in units of the coupling; for "tfim".
        estimator: "direct" measures the trash (n qubits); "swap" runs the SWAP test against |0...0> (2n - k + 1);
            "decode" measures the fidelity of the decoded state (2n - k).
        states: ensemble that state and encoder belong to.
        interaction: U of the state, in units of the hopping; for "hubbard".
        image: which of the images that training has not seen; for "digits".
    """

    num_qubits: int = integer(6, low=2, high=12, doc="qubits of the state: tfim 6-9, hubbard 6 or 8, digits 6")
    num_latent: int = integer(3, low=1, high=11, doc="qubits kept: 3-5")
    field: float = real(1.0, low=FIELDS[0], high=FIELDS[1], doc="transverse field of a tfim state")
    estimator: str = choice("direct", *ESTIMATORS, doc="how the fidelity is measured")
    states: str = choice("tfim", *SHIPPED, doc="ensemble that the state is from")
    interaction: float = real(4.0, low=INTERACTIONS[0], high=INTERACTIONS[1], doc="interaction of a hubbard state")
    image: int = integer(0, low=0, high=159, doc="which unseen image of digits")

    def __post_init__(self) -> None:
        validate(self)
        if self.num_latent >= self.num_qubits:
            refuse(self, "num_latent", f"less than num_qubits = {self.num_qubits}", self.num_latent)
        if self.num_qubits not in SHIPPED[self.states]:
            refuse(self, "num_qubits", f"a trained size of {self.states}, {SHIPPED[self.states]}", self.num_qubits)
        if self.num_latent not in SHIPPED_LATENTS:
            refuse(self, "num_latent", f"a trained number, {SHIPPED_LATENTS}", self.num_latent)

    def build(self) -> QuantumCircuit:
        """State preparation, encoder, and what the estimator does with them."""
        preparation = real_state_preparation(self.state())
        return ESTIMATORS[self.estimator].measured(preparation, self.encoder().circuit(), self.num_latent)

    def score(self, counts: Counts) -> float:
        """Estimated trash fidelity, or decode fidelity with "decode"; in [0, 1]."""
        return fidelity(self.estimator, counts)

    @property
    def ideal_score(self) -> float:
        """The exact value of what is estimated."""
        return _ideal(self)

    def ky_fan_bound(self) -> float:
        """Best mean trash fidelity that any encoder can reach on the training ensemble (Ky Fan's theorem)."""
        return self.encoder().figures.bound

    def encoder(self) -> Encoder:
        """The trained encoder."""
        return shipped(self.states, self.num_qubits, self.num_latent)

    def state(self) -> Array:
        """The state that is compressed; float64 (2^n,), index bit i is qubit i."""
        if self.states == "hubbard":
            return hubbard_ground_state(self.num_qubits, self.interaction)
        if self.states == "digits":
            image: Array = digits()[1][self.image]
            return image
        return tfim_ground_state(self.num_qubits, self.field)


@lru_cache(maxsize=256)
def _ideal(family: Autoencoder) -> float:
    encoded = family.encoder().encode(family.state()[None])
    exact = decode_fidelities if family.estimator == "decode" else trash_fidelities
    return float(exact(encoded, family.num_latent)[0])
