"""What fidelity to expect of a program on a device, by the measure that its results will be judged by.

The transpiled circuit and the newest calibration say what the device is expected to answer (``backends.damping``); that
answer is then judged as a result would be: a user's circuit by its Hellinger fidelity, a family by its score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qiskit import QuantumCircuit

from backends.backend import Device
from backends.calibration import Survival
from backends.damping import MAX_BITS, Expectation, expected, weight
from backends.pauli_course import course
from circuits.family import CircuitFamily
from circuits.fidelity import ideal_distribution, judge, mixture_fidelity
from circuits.program import is_scored
from circuits.structure import is_dynamic

MAX_GATES = 5_000
"""Longest circuit that is followed; of longer ones nothing is left but the mixture with uniform noise (ours)."""

MAX_SCORED_QUBITS = 12
"""Widest circuit of a family that is simulated for the sake of its estimate: milliseconds (ours)."""

RESOLUTION = 2**20
"""Shots as which a family is shown the answer that is expected (ours)."""


@dataclass(frozen=True)
class Foresight:
    """What to expect.

    Attributes:
        fidelity: in [0, 1].
        branching: of the paths behind it (``backends.damping``); 0 where they were not followed.
    """

    fidelity: float
    branching: float = 0.0


def outputs_of(family: CircuitFamily, circuit: QuantumCircuit) -> dict[str, float] | None:
    """The logical circuit's exact distribution, as far as it is worth its time."""
    if is_scored(family):
        return ideal_distribution(circuit, max_qubits=MAX_SCORED_QUBITS)
    return ideal_distribution(circuit)


def foresee(
    family: CircuitFamily,
    fitted: QuantumCircuit,
    device: Device,
    lives: Survival,
    outputs: Mapping[str, float] | None,
) -> Foresight:
    """What to expect of a program on a device.

    Args:
        family: a family, or a user's circuit.
        fitted: its circuit, transpiled to the device.
        device: as announced.
        lives: what survives of that circuit there.
        outputs: as :func:`outputs_of` gives them.
    """
    mixed, branching = lives.weight, 0.0
    if device.calibration is not None and fitted.size() <= MAX_GATES and not is_dynamic(fitted):
        made = course(fitted, device.calibration)
        if outputs is not None and 0 < len(made.measured) <= MAX_BITS:
            found = expected(made, outputs)
            return Foresight(_judged(family, found, made.bits, fitted.num_clbits), found.branching)
        mixed, branching = weight(made, outputs)
    foreseen = mixture_fidelity(family, mixed, outputs, fitted.num_clbits)
    return Foresight(mixed if foreseen is None else foreseen, branching)


def _judged(family: CircuitFamily, found: Expectation, bits: Mapping[int, int], num_clbits: int) -> float:
    """The fidelity of an expected answer."""
    if not is_scored(family):
        return found.fidelity
    counts = {}
    for value, share in enumerate((found.noisy * RESOLUTION).round().astype(int).tolist()):
        if share:
            written = sum((value >> seat & 1) << clbit for clbit, seat in bits.items())
            counts[f"{written:0{num_clbits}b}"] = share
    return judge(family, counts, None).fidelity or 0.0
