"""The code inside itself: a memory of 49 data qubits whose every gate is followed by error correction of its blocks.

The circuit of the verified scheme ("steane") is read with blocks for qubits: a gate is seven gates and then a round of
the same extraction on each block it touched, a reset is a verified logical |0>, a measurement is decoded. Inside, what
a verification refuses is prepared again, as a factory of ancillas would do; outside, a shot is discarded, as at level
1. Corrections are Pauli frames and cost nothing. The verified blocks do not depend on what they are used for, so they
are drawn from a simulation of their own (ours).

Compare: failure of a location N_L eps_thr (eps/eps_thr)^(2^k)        [MEQC paper, eq. 10; circuits.concatenation]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import stim
from qiskit import QuantumCircuit

from circuits.parameters import choice, integer, real, validate
from circuits.seeds import derive
from circuits.steane.code import NUM_DATA, Rows, encoder, parity, syndrome_rows
from circuits.steane.extraction import SCHEMES, Bench, decode, refused, verified_zero
from circuits.steane.family import memory_circuit
from circuits.steane.frames import Stretch, steps, with_noise
from circuits.steane.memory import Tally

BATCH = 2**14
ANCILLA = range(NUM_DATA)  # the one block that all corrections share: waiting costs nothing, so order is free
_CORRECTION = {0: "CX", 1: "CZ"}  # what a measured bit applies: against bit flips, against phase flips


@dataclass(frozen=True)
class Memory2:
    """A memory experiment at level 2; attributes as in ``circuits.steane.memory.Memory``."""

    p: float = real(1e-3, low=0.0, high=1.0, doc="chance that a gate, reset or measurement fails")
    rounds: int = integer(1, low=1, high=100, doc="rounds of level-2 syndrome extraction")
    shots: int = integer(100_000, low=1, high=10**10, doc="shots simulated")
    basis: str = choice("z", "z", "x", doc="basis of the logical state")
    seed: int = integer(7, low=0, high=2**62, doc="of everything random")

    def __post_init__(self) -> None:
        validate(self)

    def batches(self) -> Iterator[Tally]:
        """What each batch of shots gave. The same seed gives the same tallies."""
        circuit, span = memory_circuit("steane", self.rounds, self.basis, reset_all=True)
        for number, start in enumerate(range(0, self.shots, BATCH)):
            shots = min(BATCH, self.shots - start)
            blocks = Blocks(circuit.num_qubits, shots, self.p, derive(self.seed, "batch", number))
            bits = blocks.run(circuit, span)
            value, kept = decode(SCHEMES["steane"], bits, self.rounds, self.basis)
            yield Tally(shots, int(np.count_nonzero(kept)), int(np.count_nonzero(kept & value)), self.rounds)

    def run(self) -> Tally:
        """All batches together."""
        return sum(self.batches(), start=Tally(0, 0, 0, self.rounds))


class Blocks:
    """Blocks of seven qubits in the place of qubits, for many shots at once."""

    def __init__(self, num_blocks: int, shots: int, error: float, seed: int) -> None:
        """All blocks in logical |0>, without errors."""
        self._shots, self._error = shots, error
        self._rng = np.random.default_rng(seed)
        self._simulator = stim.FlipSimulator(
            batch_size=shots, num_qubits=NUM_DATA * (num_blocks + 1), seed=self._any_seed()
        )
        for number in range(num_blocks):
            self._simulator.do(_zero(_block(number)))

    def run(self, circuit: QuantumCircuit, span: range) -> Rows:
        """Run a circuit of H, CX, resets and measurements, noisy and corrected within ``span``.

        Returns:
            Its classical bits, decoded.        bool (num_clbits, shots)
        """
        bits = np.zeros((circuit.num_clbits, self._shots), dtype=np.bool_)
        place = {bit: _block(number) for number, bit in enumerate(circuit.qubits)}
        clbit = {bit: number for number, bit in enumerate(circuit.clbits)}
        for number, item in enumerate(circuit.data):
            name, blocks, noisy = item.operation.name, [place[bit] for bit in item.qubits], number in span
            if name == "barrier":
                continue
            if name == "reset":
                self._prepare(blocks[0])
            elif name == "measure":
                bits[clbit[item.clbits[0]]] = self._measure(blocks[0], noisy=noisy)
            else:
                self._do(name, blocks, noisy=noisy)
                for block in blocks if noisy else ():
                    self._correct(block)
        return bits

    def _do(self, name: str, blocks: list[range], *, noisy: bool) -> None:
        """Seven gates; ``blocks`` in the order of the gate's qubits."""
        self._simulator.do(_transversal(name, self._error if noisy else 0.0, *blocks))

    def _measure(self, block: range, *, noisy: bool) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        found = self._read(block, noisy=noisy)
        value: np.ndarray[tuple[int], np.dtype[np.bool_]] = parity(found) ^ np.any(syndrome_rows(found), axis=0)
        return value

    def _read(self, block: range, *, noisy: bool) -> Rows:
        self._do("measure", [block], noisy=noisy)
        return np.array([self._simulator.get_measurement_flips(record_index=-back) for back in range(NUM_DATA, 0, -1)])

    def _prepare(self, block: range) -> None:
        """A verified logical |0>: the noiseless state, times the frames of one that was accepted."""
        self._simulator.do(_zero(block))
        for half, frames in enumerate(self._verified()):
            self._apply(half, block, frames)

    def _correct(self, block: range) -> None:
        """One round of the verified scheme on a block, and the correction it calls for."""
        for half in (0, 1):
            self._prepare(ANCILLA)
            for name, touched in (
                (("h", [ANCILLA]), ("cx", [block, ANCILLA]))
                if half == 0
                else (
                    ("cx", [ANCILLA, block]),
                    ("h", [ANCILLA]),
                )
            ):
                self._do(name, touched, noisy=True)
            seen = syndrome_rows(self._read(ANCILLA, noisy=True))
            index = seen[0] + 2 * seen[1] + 4 * seen[2]
            self._apply(half, block, index == np.arange(1, NUM_DATA + 1)[:, None])

    def _apply(self, half: int, block: range, mask: Rows) -> None:
        """X (half 0) or Z (half 1) on the qubits of a block, in the shots that ``mask`` says."""
        self._simulator.append_measurement_flips(measurement_flip_data=np.ascontiguousarray(mask))
        targets = " ".join(f"rec[{number - NUM_DATA}] {qubit}" for number, qubit in enumerate(block))
        self._simulator.do(stim.Circuit(f"{_CORRECTION[half]} {targets}"))

    def _verified(self) -> tuple[Rows, Rows]:
        """Frames of prepared blocks that passed their verification, X part and Z part; bool (7, shots) each."""
        xs, zs = [], []
        missing = self._shots
        while missing > 0:
            drawn = stim.FlipSimulator(
                batch_size=missing + missing // 8 + 256, num_qubits=3 * NUM_DATA, seed=self._any_seed()
            )
            drawn.do(_factory(self._error))
            x, z, witness, *_ = drawn.to_numpy(output_xs=True, output_zs=True, output_measure_flips=True)
            passed = np.flatnonzero(~refused(witness))[:missing]
            xs.append(x[NUM_DATA : 2 * NUM_DATA, passed])
            zs.append(z[NUM_DATA : 2 * NUM_DATA, passed])
            missing -= len(passed)
        return np.concatenate(xs, axis=1), np.concatenate(zs, axis=1)

    def _any_seed(self) -> int:
        return int(self._rng.integers(2**62))


def _block(number: int) -> range:
    return range(NUM_DATA * (number + 1), NUM_DATA * (number + 2))


@lru_cache(maxsize=4096)
def _zero(block: range) -> stim.Circuit:
    """A logical |0> without errors."""
    circuit = QuantumCircuit(block.stop)
    circuit.reset(block)
    return _stim(circuit.compose(encoder(), qubits=block), 0.0)


@lru_cache(maxsize=4096)
def _transversal(name: str, error: float, *blocks: range) -> stim.Circuit:
    circuit = QuantumCircuit(max(block.stop for block in blocks), NUM_DATA)
    if name == "measure":
        circuit.measure(blocks[0], range(NUM_DATA))
    else:
        getattr(circuit, name)(*blocks)
    return _stim(circuit, error)


@lru_cache(maxsize=64)
def _factory(error: float) -> stim.Circuit:
    circuit = QuantumCircuit(3 * NUM_DATA, NUM_DATA)
    verified_zero(Bench(circuit, fresh=False, used=set(range(2 * NUM_DATA))), 0)
    return _stim(circuit, error)


def _stim(circuit: QuantumCircuit, error: float) -> stim.Circuit:
    """A circuit without branches, all of it noisy."""
    (stretch,) = with_noise(steps(circuit, range(len(circuit.data))), error)
    return stretch.circuit if isinstance(stretch, Stretch) else stim.Circuit()
