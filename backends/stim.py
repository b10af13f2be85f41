"""Stim's Pauli-frame sampler, ideal: Clifford circuits that may measure and reset in mid-circuit, without feed-forward.

One tableau simulation gives a reference shot; every other shot is that one with some bits flipped, hundreds of shots a
machine word. The same seed gives the same counts on the same version of stim and vector width of the machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.conversion import STIM_GATES, Converted, to_stim
from backends.energy import CPU_CORE_POWER_W
from backends.pricing import TARIFFS
from backends.sampling import Pool, Tally, pool, rehearse
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.counts import to_bits
from circuits.family import Counts, Run
from circuits.seeds import derive

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_NAME = "stim"
_METHOD = "pauli_frames"
_MOST_BITS = 2**26  # measured by one call to stim, a byte each
# Constants of the curve: ours, measured with examples/benchmarks/cost_curves.py.
_COST_CURVE = CostCurve(
    overhead_s=5.6e-5, shot_s=8.7e-8, fixed_gate_s=1.8e-6, gate_s=0.0, qubit_exponent=0.0, shot_gate_s=5.5e-10
)


class Stim:
    """``stim.Circuit.compile_sampler``."""

    def device(self) -> Device:
        """The sampler's record. Neither stim nor Qiskit is imported."""
        return self._device

    @cached_property
    def _device(self) -> Device:
        return Device(
            name=_NAME,
            kind="simulator",
            num_qubits=1000,
            max_active_qubits=1000,
            basis_gates=(*(name for name in STIM_GATES if name != "measure"), "rz"),  # every rz becomes one of them
            coupling=None,
            clifford_only=True,
            dynamic=True,
            max_gates=None,
            calibration=None,
            cost_curve=_COST_CURVE,
            price=TARIFFS["own_simulator"],
            power_w=CPU_CORE_POWER_W,
            sdk_version=sdk_version(_NAME, "stim", "stim", "all"),
            warm_up_s=0.1,
            feed_forward=False,
        )

    def warm_up(self) -> None:
        """Import stim and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to the gates that conversion knows."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits; conversion is part of the time."""

        def throw(sampler: _Sampler, group: Pool, tally: Tally) -> None:
            shots = sampler.shots(sum(group.shots), derive(seed, "call", group.runs[0]))
            if memory or len(group.runs) > 1:
                tally.deal(group, sampler.write(shots))
            else:
                tally.counts[group.runs[0]] = sampler.count(shots)

        return self._run(prepared, runs, throw, memory=memory)

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """Run prepared circuits, each run with its own seed; they share conversion and reference shot."""

        def throw(sampler: _Sampler, group: Pool, tally: Tally) -> None:
            for run, num_shots in zip(group.runs, group.shots, strict=True):
                shots = sampler.shots(num_shots, seeds[run])
                if memory:
                    tally.deal(Pool(group.circuit, group.parameters, (run,), (num_shots,)), sampler.write(shots))
                else:
                    tally.counts[run] = sampler.count(shots)

        return self._run(prepared, runs, throw, memory=memory)

    def _run(
        self,
        prepared: Sequence[QuantumCircuit],
        runs: Sequence[Run],
        throw: Callable[[_Sampler, Pool, Tally], None],
        *,
        memory: bool,
    ) -> Execution:
        self.device()  # raises the install command rather than an ImportError
        started = time.perf_counter()
        tally = Tally()
        for group in pool(prepared, runs):
            circuit = prepared[group.circuit]
            throw(_Sampler(to_stim(circuit), circuit.num_clbits), group, tally)
        return tally.execution(run_s=time.perf_counter() - started, memory=memory, method=_METHOD)


class _Sampler:
    """Shots of one circuit. Each is kept as bytes, classical bit 0 first, until somebody wants to read it."""

    def __init__(self, converted: Converted, num_clbits: int) -> None:
        self._circuit = converted.circuit
        self._readout = converted.readout
        self._num_clbits = num_clbits
        self._reference = self._circuit.reference_sample()

    def shots(self, num_shots: int, seed: int) -> Iterator[bytes]:
        import numpy as np

        sampler = self._circuit.compile_sampler(seed=seed, reference_sample=self._reference)
        size = max(1, _MOST_BITS // max(1, self._circuit.num_measurements))
        clbits, records = list(self._readout), list(self._readout.values())

        def chunk(start: int) -> list[bytes]:
            record = sampler.sample(min(size, num_shots - start))
            bits = np.zeros((len(record), self._num_clbits), dtype=np.bool_)
            bits[:, clbits] = record[:, records]
            packed = np.packbits(bits, axis=1, bitorder="little")
            shots: list[bytes] = packed.view(f"V{packed.shape[1]}")[:, 0].tolist()
            return shots

        return chain.from_iterable(map(chunk, range(0, num_shots, size)))

    def write(self, shots: Iterator[bytes]) -> list[str]:
        """In Qiskit's order, shot by shot."""
        listed = list(shots)
        written = {shot: self._write(shot) for shot in set(listed)}
        return [written[shot] for shot in listed]

    def count(self, shots: Iterator[bytes]) -> Counts:
        """In Qiskit's order, counted."""
        return {self._write(shot): number for shot, number in Counter(shots).items()}

    def _write(self, shot: bytes) -> str:
        return to_bits(int.from_bytes(shot, "little"), self._num_clbits)
