"""The contract of every place where circuits run, and the records that cross it.

A :class:`Device` is what a backend tells the world: it is announced in the store, read by placement and by the command
line, and built without importing the vendor's SDK. A :class:`Backend` is the live object: it transpiles and runs, and
only the worker that owns it ever makes one do so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backends.calibration import Calibration
from backends.pairs import Brought, QPUNetwork
from backends.pricing import Price
from circuits.facts import NO_BONDS, Bonds
from circuits.family import Counts, Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


@dataclass(frozen=True)
class CostCurve:
    """Seconds that one run of a simulator takes, before the cost model has seen any (ours).

    run_s = overhead_s + shots * shot_s
          + num_gates * (fixed_gate_s + gate_s * 2 ** (qubit_exponent * num_qubits))
          + shots * num_gates * (shot_gate_s + shot_amplitude_s * 2 ** num_qubits)
          + bond_gate_s * gate_work + shots * (shot_qubit_s * num_qubits + bond_shot_s * cut_work)

    The third line is for engines that walk through the gates once for each shot, the last for those that draw one qubit
    after the other: stabilizers, and matrix product states with the work of ``circuits.facts.Bonds``. One that changes
    its method with the width has a second curve, ``beyond``, for circuits of more than ``up_to_qubits`` active qubits.
    ``measured_at`` is when the constants were measured on the machine that announces them; None for built-in ones.
    """

    overhead_s: float
    shot_s: float
    gate_s: float
    qubit_exponent: float
    fixed_gate_s: float = 0.0
    shot_gate_s: float = 0.0
    shot_amplitude_s: float = 0.0
    shot_qubit_s: float = 0.0
    bond_gate_s: float = 0.0
    bond_shot_s: float = 0.0
    up_to_qubits: int | None = None
    beyond: CostCurve | None = None
    measured_at: float | None = None

    @property
    def sees_bonds(self) -> bool:
        """Whether it depends on how entangled a circuit can be."""
        return self.bond_gate_s > 0.0 or self.bond_shot_s > 0.0

    def run_s(self, num_qubits: int, num_gates: int, shots: int, bonds: Bonds = NO_BONDS) -> float:
        """Wall time in seconds of one run.

        Args:
            num_qubits: active qubits of the circuit.
            num_gates: gates after transpilation.
            shots: number of repetitions.
            bonds: how entangled the circuit can be, for a curve that sees it.
        """
        if self.beyond is not None and self.up_to_qubits is not None and num_qubits > self.up_to_qubits:
            return self.beyond.run_s(num_qubits, num_gates, shots, bonds)
        once_s = self.fixed_gate_s + self.gate_s * 2.0 ** (self.qubit_exponent * num_qubits)
        each_shot_s = self.shot_gate_s + self.shot_amplitude_s * 2.0**num_qubits
        gates_s = num_gates * (once_s + shots * each_shot_s) + self.bond_gate_s * bonds.gate_work
        shot_s = self.shot_s + self.shot_qubit_s * num_qubits + self.bond_shot_s * bonds.cut_work
        return float(self.overhead_s + gates_s + shots * shot_s)


@dataclass(frozen=True)
class Availability:
    """Whether a device takes work and what waits in front of it, as it was last heard of.

    Attributes:
        state: "online", "paused" (it takes work and does not begin it) or "offline".
        why: what its owner says about a state that is not "online".
        pending_jobs: of all its users, waiting there; None where nobody tells.
        queue_s: what they are expected to take, seconds; None where nobody tells.
        opens_at: when it is expected to be online again, seconds since the epoch.
        heard_at: seconds since the epoch; 0 for what is always there.
    """

    state: str = "online"
    why: str = ""
    pending_jobs: int | None = None
    queue_s: float | None = None
    opens_at: float | None = None
    heard_at: float = 0.0


HERE = Availability()
"""Of a simulator: what waits in front of it is known from the orchestrator's own records."""


@dataclass(frozen=True)
class Device:
    """What a backend publishes about itself: static target, capabilities, calibration, price and power.

    Attributes:
        name: the backend's key in ``backends.BACKENDS``.
        kind: "simulator", "emulated_qpu" (a device's calibration behind a simulator), "qpu", or "cpu" (no circuits).
        num_qubits: size of the target; for a simulator, the largest circuit it takes.
        max_active_qubits: most qubits that one transpiled circuit may use, where that is less than ``num_qubits``.
        basis_gates: gates it runs without decomposition.
        coupling: undirected pairs that share a two-qubit gate; None means all-to-all.
        clifford_only: it runs Clifford circuits alone.
        dynamic: it runs measurements in mid-circuit, resets and, unless ``feed_forward`` is False, classical control.
        max_gates: most gates after transpilation; None means no limit of its own.
        calibration: published errors; None for an ideal simulator.
        cost_curve: prior of the run time of a simulated member; None for a real QPU.
        price: what a run costs; None where nobody knows, so that nothing is bought there.
        power_w: electrical power while a run lasts.
        energy_model: key in ``backends.energy.ENERGY_MODELS``; empty: CPU time for a simulator, the installation else.
        sdk_version: version of the package that does the work.
        warm_up_s: seconds until a process that has not used it yet can run there: imports, just-in-time compilation
            (ours, measured once; the order of magnitude counts).
        follows_definitions: it runs a gate by its definition, whatever its depth: circuits are not transpiled for it.
        feed_forward: a dynamic device also does what depends on measured bits.
        opt_in: a worker serves it only where it is named: it costs money, or another of its kind is served already.
        max_shots: most shots of one run; None means no limit of its own.
        max_bond_qubits: most that a circuit may be entangled across a cut (``circuits.entanglement``), in qubits, where
            cost grows with that rather than with the width; None means no such limit.
        max_dynamic_qubits: most qubits of a dynamic circuit, where that is less than of a static one.
        availability: of the moment; no part of the target.
        network: of the QPUs that a distributed device is made of; None for a single one.
    """

    name: str
    kind: str
    num_qubits: int
    max_active_qubits: int
    basis_gates: tuple[str, ...]
    coupling: tuple[tuple[int, int], ...] | None
    clifford_only: bool
    dynamic: bool
    max_gates: int | None
    calibration: Calibration | None
    cost_curve: CostCurve | None
    price: Price | None
    power_w: float
    sdk_version: str
    warm_up_s: float = 0.0
    follows_definitions: bool = False
    feed_forward: bool = True
    opt_in: bool = False
    max_shots: int | None = None
    max_bond_qubits: int | None = None
    max_dynamic_qubits: int | None = None
    availability: Availability = HERE
    energy_model: str = ""
    network: QPUNetwork | None = None

    @property
    def remote(self) -> bool:
        """Whether it is asked over a network, by the contract of :mod:`backends.remote`."""
        return self.kind == "qpu"

    @cached_property
    def target_version(self) -> str:
        """Short hash of target and calibration: a transpiled circuit is good for exactly one of them."""
        from backends.transpilation import target_version

        return target_version(self)


@dataclass(frozen=True)
class TranspileOptions:
    """How a circuit is fitted to a target.

    Attributes:
        optimization_level: Qiskit's 0..3.
        seed: of every random pass.
        initial_layout: physical qubit of each logical one; None lets the transpiler choose.
    """

    optimization_level: int = 1
    seed: int = 7
    initial_layout: tuple[int, ...] | None = None


REPETITION_S = 250e-6
"""Seconds between two shots on a superconducting device (second-hand: the default delay of IBM's machines)."""


@dataclass(frozen=True)
class Execution:
    """What one call of ``run`` gave.

    Attributes:
        counts: of each run, in the order asked for.
        run_s: wall time of the runs alone, seconds; warm-up and transpilation are not in it.
        memory: outcome of every shot of each run, if it was asked for.
        method: the engine that really ran ("statevector", "trajectories", ...).
        device_s: seconds that the device behind an emulation would have been busy, as scheduled; None where the run
            was the real thing.
        queue_s: seconds that the runs waited at the device itself: emulated, or as its provider tells.
        approximate: the engine stands in for one that would take too long; its counts are no truth about the device.
        pair_fidelity: mean of the entangled pairs of a distributed run, each when it came; None where there were none.
        links: what each link brought of them.
    """

    counts: tuple[Counts, ...]
    run_s: float
    memory: tuple[tuple[str, ...], ...] | None = None
    method: str = ""
    device_s: float | None = None
    queue_s: float | None = None
    approximate: bool = False
    pair_fidelity: float | None = None
    links: tuple[Brought, ...] = ()


@runtime_checkable
class Backend(Protocol):
    """A place where circuits run. One thread at a time."""

    def device(self) -> Device:
        """What it publishes. Must not import the vendor's SDK.

        Raises:
            DependencyNotInstalled: the SDK is missing.
        """
        ...

    def warm_up(self) -> None:
        """Import the SDK and let its just-in-time compilers run, so that no measured run pays for them."""
        ...

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to this target. Free parameters stay free.

        Raises:
            UnsupportedCircuit: the circuit can never run here.
        """
        ...

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits. The same seed gives the same counts.

        Raises:
            TransientFailure: trying again may help.
            ExecutionFailed: it will not.
        """
        ...


@runtime_checkable
class SeededBackend(Backend, Protocol):
    """A backend that takes runs of several users in one call, each with a seed of its own."""

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """As ``run``; what a run gives depends on its own seed and not on the other runs of the call."""
        ...
