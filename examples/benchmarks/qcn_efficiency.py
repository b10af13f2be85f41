"""Which share of a processor's LINPACK rate simulating an autoencoder's circuit reaches: a constant of the QCN world.

    python examples/benchmarks/qcn_efficiency.py

One core of this machine: large float64 matrix products stand for LINPACK, and circuits of the family ``autoencoder``
(SWAP test, compiled, without the state's preparation) run on Aer's state-vector simulator in single precision, counted
as 6 flop a gate and amplitude. The median over sizes is ``policies.envs.qcn.model.EFFICIENCY``, to one digit. Writes
``results/qcn_efficiency.csv``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from statistics import median

import numpy as np
from evidence import results
from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator

from circuits.autoencoder import Autoencoder
from circuits.autoencoder.estimators import ESTIMATORS
from policies.envs.qcn.circuits import COMPILED, FLOP_PER_GATE, num_qubits

SIDE = 1500
REPEATS = 5


def product_flops() -> float:
    """Best rate of float64 matrix products, flop/s of processor time."""
    matrix = np.random.default_rng(1).random((SIDE, SIDE))
    rates = []
    for _ in range(REPEATS + 1):
        begun_s = time.process_time()
        matrix @ matrix
        rates.append(2.0 * SIDE**3 / (time.process_time() - begun_s))
    return max(rates)


def simulation_s(data: int, latent: int) -> float:
    """Least time of one circuit of ten in a run."""
    encoder = Autoencoder(num_qubits=data, num_latent=latent, estimator="swap").encoder().circuit()
    circuit = ESTIMATORS["swap"].measured(QuantumCircuit(data), encoder, latent)
    circuit = transpile(circuit, basis_gates=["cx", "u"], optimization_level=1, seed_transpiler=7)
    simulator = AerSimulator(method="statevector", precision="single", max_parallel_threads=1)
    runs = [simulator.run([circuit] * 10, shots=1, seed_simulator=1).result() for _ in range(REPEATS)]
    return min(one.time_taken for run in runs for one in run.results)


def main() -> None:
    """Measure and write."""
    peak, shares = product_flops(), []
    columns = ("n", "k", "qubits", "gates", "simulation_s", "flops", "product_flops", "share")
    with results("qcn_efficiency", columns, seeds="simulator 1", packages=("qiskit", "qiskit-aer", "numpy")) as table:
        for (data, latent), gates in COMPILED.items():
            qubits, taken_s = num_qubits(data, latent), simulation_s(data, latent)
            flops = FLOP_PER_GATE * gates * 2.0**qubits / taken_s
            shares.append(flops / peak)
            table.writerow([data, latent, qubits, gates, *(f"{one:.4g}" for one in (taken_s, flops, peak, shares[-1]))])
            print(
                f"n = {data}, k = {latent}: {flops / 1e9:.2f} of {peak / 1e9:.1f} Gflop/s, {shares[-1]:.1%}", flush=True
            )
    print(f"median {median(shares):.3f}, from {min(shares):.3f} to {max(shares):.3f}")


if __name__ == "__main__":
    main()
