"""A state-vector simulator that keeps the basis states that occur and no others: exact and ideal.

For circuits of reversible arithmetic with few superposed qubits, whatever their width, it is far faster than a dense
simulator: amplitude amplification over N items has N basis states, however many work qubits it computes with. A circuit
that turns out to spread over more (:func:`max_lanes`) is handed to Aer's state vector. Gates run by their
definitions, folded as they are, so that nothing is transpiled and a block that is repeated costs its size once. Runs
that differ in parameters alone go through the circuit together, one bit of a machine word each. Deviation from the
usual sparse simulators (a hash table from basis state to amplitude): bit planes, see ``backends.sparse_kernel``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from backends.aer import statevector
from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.energy import CPU_CORE_POWER_W
from backends.errors import ExecutionFailed
from backends.pricing import TARIFFS
from backends.sampling import Pool, Tally, pool
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.family import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from backends.sparse_program import Program
    from backends.sparse_state import State

_Chance: TypeAlias = "np.random.Generator | Sequence[np.random.Generator]"
"""One source for all runs of a call, or one for each."""

_NAME = "sparse"
_KNOWN = "id x y z h s sdg t tdg sx sxdg p r rx ry rz u cx cz cp swap ccx ccz cswap mcx mcphase"
MAX_LANES = 2**14
"""Most basis states of one run, however wide its circuit (ours)."""

_AMPLITUDES_PER_LANE = 128
"""Amplitudes that Aer takes through a gate in the time of one basis state here (ours: 290 ns against 1.8 ns)."""

_LANES_AT_ONCE = 2**15
_KEPT = 256

# Constants of the curve: ours, measured with examples/benchmarks/cost_curves.py on dense circuits. A sparse one takes
# far less than this, which nothing but a run can tell.
_COST_CURVE = CostCurve(overhead_s=3.1e-4, shot_s=1.8e-7, fixed_gate_s=1.4e-5, gate_s=1.8e-9, qubit_exponent=1.0)


class Sparse:
    """The simulator. ``sparse`` while basis states are few, Aer beyond."""

    def __init__(self) -> None:
        self._programs: dict[tuple[int, bool], tuple[QuantumCircuit, Program]] = {}
        self._dense: dict[int, tuple[QuantumCircuit, QuantumCircuit]] = {}
        self._aer = statevector()

    def device(self) -> Device:
        """The simulator's record. Neither numba nor Qiskit is imported."""
        return self._device

    @cached_property
    def _device(self) -> Device:
        return Device(
            name=_NAME,
            kind="simulator",
            num_qubits=64,
            max_active_qubits=64,
            basis_gates=tuple(_KNOWN.split()),
            coupling=None,
            clifford_only=False,
            dynamic=False,
            max_gates=None,
            calibration=None,
            cost_curve=_COST_CURVE,
            price=TARIFFS["own_simulator"],
            power_w=CPU_CORE_POWER_W,
            sdk_version=sdk_version(_NAME, "numba", "numba", "sparse"),
            warm_up_s=1.0,
            follows_definitions=True,
        )

    def warm_up(self) -> None:
        """Let numba load its kernels, or compile them if this machine never has, and each of them run once."""
        from qiskit import QuantumCircuit
        from qiskit.circuit import Parameter

        angle = Parameter("angle")
        circuit = QuantumCircuit(2, 2)
        circuit.h(0)
        circuit.t(0)
        circuit.h(0)
        circuit.rx(angle, 1)
        circuit.cx(0, 1)
        circuit.measure([0, 1], [0, 1])
        self.run(self.prepare([circuit], TranspileOptions()), [Run(1, 0, {"angle": 0.0})], seed=0)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Check that every gate is known or defined; circuits stay as they are."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits."""
        import numpy as np

        return self._run(prepared, runs, np.random.default_rng(seed), memory)

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """Run prepared circuits, each run with its own seed."""
        import numpy as np

        return self._run(prepared, runs, [np.random.default_rng(seed) for seed in seeds], memory)

    def _run(self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], chance: _Chance, memory: bool) -> Execution:
        started = time.perf_counter()
        by_circuit: dict[int, list[Pool]] = {}
        for group in pool(prepared, runs):
            by_circuit.setdefault(group.circuit, []).append(group)
        tally, engines = Tally(), set()
        for number, groups in by_circuit.items():
            circuit = prepared[number]
            if self._is_sparse(circuit, groups, chance, tally):
                engines.add(_NAME)
            else:
                self._hand_over(circuit, groups, chance, tally)
                engines.add("statevector")
        run_s = time.perf_counter() - started
        return tally.execution(run_s=run_s, memory=memory, method="+".join(sorted(engines)))

    def _is_sparse(self, circuit: QuantumCircuit, groups: Sequence[Pool], chance: _Chance, tally: Tally) -> bool:
        """Run the pools, unless they need too many basis states."""
        from backends.sparse_state import NoFlipError, State, TooDenseError

        flipping, done, most = True, 0, max_lanes(circuit.num_qubits)
        while done < len(groups):
            program = self._program(circuit, flipping)
            if program.num_lanes > most:
                return False
            some = groups[done : done + max(8, _LANES_AT_ONCE // program.num_lanes if program.num_lanes else 8)]
            state = State(program.num_qubits, len(some))
            try:
                state.run(program, _columns(some), most)
            except NoFlipError:
                flipping = False
                continue
            except TooDenseError:
                program.num_lanes = state.most_lanes
                return False
            program.num_lanes = max(program.num_lanes, state.most_lanes)
            _deal(program, state, some, chance, tally)
            done += len(some)
        return True

    def _program(self, circuit: QuantumCircuit, flipping: bool) -> Program:
        from backends.sparse_program import compile_circuit

        known = self._programs.get((id(circuit), flipping))
        if known is None or known[0] is not circuit:
            if len(self._programs) >= _KEPT:
                self._programs.clear()
            known = self._programs[(id(circuit), flipping)] = circuit, compile_circuit(circuit, flipping=flipping)
        return known[1]

    def _hand_over(self, circuit: QuantumCircuit, groups: Sequence[Pool], chance: _Chance, tally: Tally) -> None:
        """Run the pools on Aer.

        Raises:
            ExecutionFailed: the circuit is too wide for it.
        """
        if circuit.num_qubits > self._aer.device().num_qubits:
            raise ExecutionFailed(
                f"circuit {circuit.name!r} spreads over more than {MAX_LANES} basis states, and its "
                f"{circuit.num_qubits} qubits are too many for a state vector: choose aer_mps or aer_stabilizer"
            )
        dense = self._dense.get(id(circuit))
        if dense is None or dense[0] is not circuit:
            dense = self._dense[id(circuit)] = circuit, self._aer.prepare([circuit], TranspileOptions())[0]
        asked = [
            (index, shots, group) for group in groups for index, shots in zip(group.runs, group.shots, strict=True)
        ]
        runs = [Run(shots, 0, group.parameters) for _, shots, group in asked]
        seeds = [int(_of(chance, index).integers(2**31)) for index, _, _ in asked]
        execution = self._aer.run_seeded([dense[1]], runs, seeds, memory=True)
        for (index, _, _), counts, shots in zip(asked, execution.counts, execution.memory or (), strict=True):
            tally.counts[index], tally.memory[index] = counts, shots


def max_lanes(num_qubits: int) -> int:
    """Basis states of one run beyond which a state vector of that many qubits is the faster tool."""
    return min(MAX_LANES, max(_AMPLITUDES_PER_LANE, (1 << num_qubits) // _AMPLITUDES_PER_LANE))


def _of(chance: _Chance, index: int) -> np.random.Generator:
    """Where a run's randomness comes from."""
    return chance[index] if isinstance(chance, Sequence) else chance


def _columns(groups: Sequence[Pool]) -> dict[str, NDArray[np.float64]]:
    """Parameter -> its value in every row."""
    import numpy as np

    names = list(groups[0].parameters)
    table = np.array([[group.parameters[name] for name in names] for group in groups], dtype=np.float64)
    return dict(zip(names, table.T, strict=True))


def _deal(program: Program, state: State, groups: Sequence[Pool], chance: _Chance, tally: Tally) -> None:
    """Draw the shots of all runs from the rows' probabilities and write them in Qiskit's order."""
    import numpy as np

    from backends.sparse_kernel import draw

    asked = [(index, shots) for group in groups for index, shots in zip(group.runs, group.shots, strict=True)]
    sizes = np.array([sum(group.shots) for group in groups])
    rows = np.repeat(np.arange(len(groups)), sizes)
    chances = np.concatenate([_of(chance, index).random(shots) for index, shots in asked])
    indices = draw(np.cumsum(state.probabilities(), axis=0), rows, chances)
    lanes, which = np.unique(indices * len(groups) + rows, return_inverse=True)
    written = _write(program, state, *np.divmod(lanes, len(groups)))
    shots = np.array(written, dtype=object)[which].tolist()
    start = 0
    for group, size in zip(groups, sizes.tolist(), strict=True):
        tally.deal(group, shots[start : start + size])
        start += size


def _write(program: Program, state: State, indices: NDArray[np.int64], rows: NDArray[np.int64]) -> list[str]:
    """The bit string of each lane."""
    import numpy as np

    width = program.num_clbits
    clbits = np.array(list(program.readout), dtype=np.int64)
    qubits = np.array(list(program.readout.values()), dtype=np.int64)
    letters = np.full((indices.size, width), ord("0"), dtype=np.uint8)
    letters[:, width - 1 - clbits] += state.bits(qubits, indices, rows)
    text = letters.tobytes().decode("ascii")
    return [text[start : start + width] for start in range(0, len(text), width)]
