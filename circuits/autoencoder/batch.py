"""A batch of states of one ensemble, compressed one by one: work that may be divided between machines.

Source: as :mod:`circuits.autoencoder.family`. All samples share one circuit, whose preparation has free angles, so that
it is transpiled once. Its classical rival encodes the states as vectors and reads the same fidelities off them, without
the noise of counts (ours).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from circuits.autoencoder.estimators import ESTIMATORS, decode_fidelities, fidelity, trash_fidelities
from circuits.autoencoder.preparation import preparation, preparation_angles
from circuits.autoencoder.records import SHIPPED, SHIPPED_LATENTS, Encoder, shipped
from circuits.autoencoder.states import SOURCES
from circuits.family import Counts, Outcome, Round, Run
from circuits.parameters import choice, integer, refuse, validate

Array = NDArray[np.float64]

AT_ONCE = 16
"""Samples of a round: after each one tells what is known so far (ours)."""

STEPS_PER_AMPLITUDE = 2
"""Multiplications and additions of a rotation for each amplitude, the elementary steps that are counted (ours)."""


@dataclass(frozen=True)
class AutoencoderBatch:
    """Compress states that training has not seen, and look at what is thrown away of each.

    Attributes:
        num_samples: states in the batch.
        first: index of the first one in the ensemble's unseen states.
        num_qubits: qubits of a state.
        num_latent: qubits that are kept.
        estimator: as of :class:`~circuits.autoencoder.family.Autoencoder`.
        states: ensemble that states and encoder belong to.
    """

    num_samples: int = integer(8, low=1, high=160, doc="states in the batch")
    first: int = integer(0, low=0, high=159, doc="index of the first state among the unseen ones")
    num_qubits: int = integer(6, low=2, high=12, doc="qubits of a state: tfim 6-9, hubbard 6 or 8, digits 6")
    num_latent: int = integer(3, low=1, high=11, doc="qubits kept: 3-5")
    estimator: str = choice("direct", *ESTIMATORS, doc="how the fidelity is measured")
    states: str = choice("tfim", *SHIPPED, doc="ensemble that the states are from")

    def __post_init__(self) -> None:
        validate(self)
        if self.num_qubits not in SHIPPED[self.states]:
            refuse(self, "num_qubits", f"a trained size of {self.states}, {SHIPPED[self.states]}", self.num_qubits)
        if self.num_latent not in SHIPPED_LATENTS or self.num_latent >= self.num_qubits:
            refuse(self, "num_latent", f"a trained number, {SHIPPED_LATENTS}, below num_qubits", self.num_latent)
        unseen = len(_unseen(self.states, self.num_qubits))
        for name, found in (("first", self.first + 1), ("num_samples", self.first + self.num_samples)):
            if found > unseen:
                refuse(self, name, f"samples among the {unseen} unseen states of {self.states}", getattr(self, name))

    @property
    def num_items(self) -> int:
        """Samples."""
        return self.num_samples

    def part(self, first: int, last: int) -> AutoencoderBatch:
        """These samples alone."""
        return replace(self, first=self.first + first, num_samples=last - first)

    def merged(self, outcomes: Sequence[Outcome]) -> Outcome:
        """The fidelities of all samples, and their mean. Parts ran at the same time, so their rounds are not added."""
        found = [value for one in outcomes for value in one.value["fidelities"]]
        return _outcome(found, max(one.num_rounds for one in outcomes))

    def circuits(self) -> Sequence[QuantumCircuit]:
        """One circuit for all samples: its preparation's angles are free."""
        free = preparation(list(ParameterVector("theta", 2**self.num_qubits - 1)))
        return [ESTIMATORS[self.estimator].measured(free, self.encoder().circuit(), self.num_latent)]

    def build(self) -> QuantumCircuit:
        """The circuit of the first sample."""
        (circuit,) = self.circuits()
        values = self._parameters(self.samples()[0])
        bound: QuantumCircuit = circuit.assign_parameters({each: values[each.name] for each in circuit.parameters})
        return bound

    def score(self, counts: Counts) -> float:
        """The first sample's estimated fidelity, in [0, 1]."""
        return fidelity(self.estimator, counts)

    @property
    def ideal_score(self) -> float:
        """Its exact value."""
        return float(self._exact[0])

    def expected_runs(self, shots: int) -> float:
        """One for each sample."""
        return float(self.num_samples)

    @property
    def ideal_outcome_score(self) -> float:
        """The exact mean over the samples."""
        return float(np.mean(self._exact))

    def rounds(self, shots: int, seed: int) -> Generator[Round, Sequence[Counts], Outcome]:
        """Run the samples, some at a time; what one gives changes nothing for the others.

        Args:
            shots: of each sample.   seed: nothing is drawn here.
        """
        found: list[float] = []
        samples = self.samples()
        starts = range(0, self.num_samples, AT_ONCE)
        for start in starts:
            runs = [Run(shots, 0, self._parameters(sample)) for sample in samples[start : start + AT_ONCE]]
            counts = yield Round(runs, partial={"fidelities": list(found), "num_samples_left": len(samples) - start})
            found += [fidelity(self.estimator, one) for one in counts]
        return _outcome(found, len(starts))

    @property
    def num_operations(self) -> int:
        """Steps of all gates of the encoder on all amplitudes of all samples."""
        return STEPS_PER_AMPLITUDE * len(self.encoder().angles_rad) * self.samples().size

    def solve(self) -> Outcome:
        """The exact fidelities."""
        return _outcome(self._exact.tolist(), 0)

    def encoder(self) -> Encoder:
        """The trained encoder."""
        return shipped(self.states, self.num_qubits, self.num_latent)

    def samples(self) -> Array:
        """The states; float64 (num_samples, 2^n), index bit i is qubit i."""
        return _unseen(self.states, self.num_qubits)[self.first : self.first + self.num_samples]

    def _parameters(self, state: Array) -> dict[str, float]:
        return {f"theta[{index}]": angle for index, angle in enumerate(preparation_angles(state))}

    @cached_property
    def _exact(self) -> Array:
        exact = decode_fidelities if self.estimator == "decode" else trash_fidelities
        return exact(self.encoder().encode(self.samples()), self.num_latent)


def _outcome(fidelities: Sequence[float], num_rounds: int) -> Outcome:
    mean = float(np.mean(fidelities))
    return Outcome(mean, {"fidelities": list(fidelities), "mean": mean, "worst": min(fidelities)}, num_rounds)


@lru_cache
def _unseen(states: str, num_qubits: int) -> Array:
    return SOURCES[states].make(num_qubits)[1]
