"""Google's processors as virtual QPUs, from the calibrations that ``backends.google_calibration`` reads.

Among what they publish are the coherent error of each coupler and the two errors of a readout. Static circuits alone.
As with IBM's machines, ``fake_*`` do what they publish and ``virtual_*`` have a hidden truth besides.
"""

from __future__ import annotations

from functools import cache, partial

from backends.backend import CostCurve
from backends.google_calibration import read_processor
from backends.pricing import TARIFFS
from backends.virtual.pieces import DENSITY_MATRIX_QUBITS, TRAJECTORY_QUBITS
from backends.virtual.qpu import REALISATIONS_CURVE, VirtualQPU
from backends.virtual.snapshot import Snapshot
from backends.virtual.truth import Strengths

_SOURCE = ("qiskit_aer", "qiskit-aer", "all")


def _curve(density_matrix: tuple[float, float, float], trajectories: tuple[float, float, float]) -> CostCurve:
    """From overhead_s, fixed_gate_s and gate_s of one method; overhead_s, fixed_gate_s, shot_amplitude_s of the other.

    A shot of a density matrix, which is drawn from its diagonal, takes 1 µs.
    """
    overhead_s, fixed_gate_s, gate_s = density_matrix
    once_s, once_gate_s, shot_amplitude_s = trajectories
    beyond = CostCurve(
        overhead_s=once_s,
        shot_s=0.0,
        gate_s=0.0,
        qubit_exponent=0.0,
        fixed_gate_s=once_gate_s,
        shot_amplitude_s=shot_amplitude_s,
        up_to_qubits=TRAJECTORY_QUBITS,
        beyond=REALISATIONS_CURVE,
    )
    return CostCurve(
        overhead_s=overhead_s,
        shot_s=1e-6,
        gate_s=gate_s,
        qubit_exponent=2.0,
        fixed_gate_s=fixed_gate_s,
        up_to_qubits=DENSITY_MATRIX_QUBITS,
        beyond=beyond,
    )


# Constants: ours, measured with examples/benchmarks/cost_curves.py on a busy machine, so rather too slow than too fast.
_CURVES = {
    "rainbow": _curve((4.6e-3, 1.6e-4, 9.1e-9), (1.3, 2.4e-4, 1.1e-8)),
    "weber": _curve((3.6e-3, 1.6e-4, 8.7e-9), (0.8, 7.6e-5, 8.2e-9)),
    "willow_pink": _curve((1.8e-3, 2e-4, 7.7e-9), (0.65, 0.0, 8.6e-9)),
}


@cache
def _published(machine: str) -> Snapshot:
    return read_processor(machine)


def google(name: str, machine: str, *, truth: bool) -> VirtualQPU:
    """One of Google's processors.

    Args:
        name: key in ``backends.BACKENDS``.
        machine: "rainbow", "weber" or "willow_pink".
        truth: it has errors that it does not publish.
    """
    return VirtualQPU(
        name,
        snapshot=partial(_published, machine),
        price=TARIFFS["emulated_google"],
        source=_SOURCE,
        truth=Strengths() if truth else None,
        cost_curve=_CURVES[machine],
    )


fake_rainbow = partial(google, "fake_rainbow", "rainbow", truth=False)
fake_weber = partial(google, "fake_weber", "weber", truth=False)
fake_willow_pink = partial(google, "fake_willow_pink", "willow_pink", truth=False)

rainbow = partial(google, "virtual_rainbow", "rainbow", truth=True)
weber = partial(google, "virtual_weber", "weber", truth=True)
willow_pink = partial(google, "virtual_willow_pink", "willow_pink", truth=True)
