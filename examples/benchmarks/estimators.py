"""How well the fidelity of a compiled circuit is foretold: ours beside MQT Predictor's figures of merit.

    python examples/benchmarks/estimators.py --peers peers/bin/python     # see estimators_peer.py
    python examples/benchmarks/estimators.py --circuits DIR               # every OpenQASM file of a folder
    python examples/benchmarks/estimators.py --tune                       # the constants of the interval
    python examples/benchmarks/estimators.py --draw                       # the pictures again, from the CSV

On six emulated IBM processors that do what their calibration says, every circuit's exact answer (a density matrix) is
compared with what was foretold from its compiled form and the calibration. Then the same processors with a hidden
truth: jobs drawn from the circuits, with repetition, measured with finite shots; every job is foretold with and without
what the jobs before it taught, and compared with the exact answer. Rows of finished devices stay if it is interrupted.

The estimate was chosen, and its interval measured (``--tune``), on ``tuning_circuits.py`` and four other processors.
What is reported are MQT Bench's circuits, which --peers brings, and our autoencoders; no circuit and no processor of
either kind is in both. While the estimate was built, its errors on sizes 3, 5 and 8 and on autoencoders to 3 and 4
qubits were looked at: so the reported ones are of sizes 4, 6 and 7, and to 5 qubits.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from estimators_report import Rows, draw, quantile_of_doubt, read, summarise
from evidence import RESULTS, results
from exact_noise import answer
from peer import Peer, peer_at
from qiskit import QuantumCircuit
from rich.progress import track
from tuning_circuits import tuning

from backends.backend import TranspileOptions
from backends.calibration import survival
from backends.errors import BackendError
from backends.virtual.ibm import ibm
from backends.virtual.truth import Strengths, Truth
from circuits.autoencoder import Autoencoder
from circuits.counts import finite_shot_floor, hellinger_fidelity
from circuits.errors import CircuitError
from circuits.fidelity import ideal_distribution, mixture_fidelity
from circuits.program import Program, UserCircuit
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.prior import fidelity_interval, prior
from orchestrator.job import Measurement
from orchestrator.preparation import Fit
from orchestrator.telemetry import Observation
from workers.foresight import foresee

REPORTED = ("guadalupe", "hanoi", "brooklyn", "sherbrooke", "torino", "fez")
TUNED_ON = ("manila", "nairobi", "prague", "marrakesh")
SIZES, MAX_GATES = (4, 6, 7), 300
SHOTS, NUM_JOBS, NUM_LEARNED, SEEDS = 4000, 150, 50, range(5)
AGE_S = 86_400.0
"""Age of the calibration when the jobs of a hidden truth run."""

COLUMNS = (
    *("device", "circuit", "qubits", "gates", "exact", "ours", "branching", "low", "high", "mixture"),
    *("mqt_expected_fidelity", "mqt_success_probability", "ours_s", "mqt_fidelity_s", "mqt_success_s"),
)
FEEDBACK = ("device", "seed", "job", "circuit", "seen_before", "truth", "prior", "learned", "measured")


@dataclass(frozen=True)
class Case:
    """A circuit on a device."""

    circuit: str
    prepared: QuantumCircuit
    ideal: Mapping[str, float]
    fit: Fit
    exact: float
    row: Mapping[str, Any]


# ── circuits ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def of_folder(folder: Path) -> Iterator[tuple[str, QuantumCircuit]]:
    """Every OpenQASM file of a folder that can be read."""
    paths = sorted(folder.glob("*.qasm"))
    if not paths:
        raise SystemExit(f"wanted a folder with *.qasm files, found none in {folder}")
    for path in paths:
        try:
            yield path.stem, Program.from_any(path).load().build()
        except CircuitError as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)


def of_others(peer: Peer | None) -> Iterator[tuple[str, QuantumCircuit]]:
    """MQT Bench's circuits, where the peer is there to bring them, and our autoencoders."""
    if peer is not None:
        for name, text in peer.ask({"sizes": SIZES, "max_gates": MAX_GATES}).items():
            yield name, Program.from_any(text).load().build()
    for states, sizes in {"tfim": (6, 7, 8), "hubbard": (6, 8), "digits": (6,)}.items():
        for size in sizes:
            yield f"autoencoder_{states}_{size}_5", Autoencoder(size, 5, states=states).build()


# ── foretelling ───────────────────────────────────────────────────────────────────────────────────────────────────────
def cases(machine: str, circuits: Sequence[tuple[str, QuantumCircuit]], peer: Peer | None, note: str) -> Iterator[Case]:
    """Every circuit that fits the device and whose noise can be computed exactly."""
    backend = ibm(f"exact_{machine}", machine, truth=False)
    device = backend.device()
    assert device.calibration is not None
    if peer is not None:
        peer.meet(device)
    for name, circuit in track(circuits, description=f"{machine}: {note}"):
        ideal = ideal_distribution(circuit)
        try:
            (prepared,) = backend.prepare([circuit], TranspileOptions())
        except BackendError:
            continue
        law = None if ideal is None else answer(prepared, device.calibration)
        if law is None or ideal is None:
            continue
        begun = time.process_time()
        lives = survival(prepared, device)
        surviving_s = time.process_time() - begun
        seen = foresee(UserCircuit(circuit), prepared, device, lives, ideal)
        spent_s = time.process_time() - begun - surviving_s
        exact = hellinger_fidelity(law, ideal)
        interval = fidelity_interval(seen.fidelity, seen.branching)
        fit = Fit(prepared.num_qubits, prepared.size(), seen.fidelity, lives.duration_s, branching=seen.branching)
        row = {
            "device": machine,
            "circuit": name,
            "qubits": circuit.num_qubits,
            "gates": prepared.size(),
            "exact": exact,
            "ours": seen.fidelity,
            "branching": seen.branching,
            "low": interval.low,
            "high": interval.high,
            "mixture": mixture_fidelity(UserCircuit(circuit), lives.weight, ideal, circuit.num_clbits),
            "ours_s": spent_s,
        }
        if peer is not None:
            row |= peer.score(prepared)
        yield Case(name, prepared, ideal, fit, exact, row)


# ── feedback ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def feedback(machine: str, found: Sequence[Case]) -> Iterator[tuple[Any, ...]]:
    """Jobs on the same device with a hidden truth: predict, then observe."""
    device = ibm(f"virtual_{machine}", machine).device()
    calibration = device.calibration
    assert calibration is not None
    truth, moment = Truth(device.name, calibration, Strengths()), calibration.taken_at + AGE_S
    answers: dict[int, tuple[Mapping[str, float], float, float]] = {}
    for seed in track(SEEDS, description=f"{machine}: feedback"):
        rng, model, seen = np.random.default_rng(seed), CostModel(), set()
        for number, choice in enumerate(rng.integers(0, len(found), NUM_JOBS).tolist()):
            case = found[choice]
            if choice not in answers:
                law = answer(case.prepared, calibration, truth, moment) or {}
                answers[choice] = law, hellinger_fidelity(law, case.ideal), finite_shot_floor(case.ideal, SHOTS)
            law, right, floor = answers[choice]
            drawn = rng.multinomial(SHOTS, np.array(list(law.values())) / math.fsum(law.values()))
            counts = {bits: count for bits, count in zip(law, drawn.tolist(), strict=True) if count}
            measured = hellinger_fidelity(counts, case.ideal)
            before = prior(device, case.fit, SHOTS)
            said = model.estimate(before, device, "program", case.circuit)
            yield (
                *(machine, seed, number, case.circuit, int(choice in seen)),
                *(f"{value:.6f}" for value in (right, before.fidelity, said.fidelity, measured)),
            )
            seen.add(choice)
            took = Measurement(
                *(0.0, 0.0, before.service_s, before.service_s, before.service_s, measured, "hellinger", floor, None),
                *(before.energy_j, before.cost_usd),
            )
            told = Observation(
                *(f"{number}-0", f"{number}", device.name, "", "program", case.circuit, 1, 1, SHOTS),
                *(before, said, 0.0, took, float(number)),
            )
            model = model.fold([(number + 1, told)])


# ── all of it ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def plain(row: Mapping[str, Any]) -> list[Any]:
    """A row as it is written."""
    return [f"{row[name]:.6g}" if isinstance(row.get(name), float) else row.get(name, "") for name in COLUMNS]


def measure(name: str, circuits: Sequence[tuple[str, QuantumCircuit]], peer: Peer | None) -> None:
    """Every device: foretell, compare, and learn; what is done stays if it is interrupted."""
    seeds = f"{SEEDS.start} to {SEEDS.stop - 1}"
    with (
        results(name, COLUMNS, seeds="none: exact") as table,
        results(f"{name}_feedback", FEEDBACK, seeds=seeds) as learned,
        suppress(KeyboardInterrupt),
    ):
        for machine in REPORTED:
            found = []
            for case in cases(machine, circuits, peer, "foretelling"):
                table.writerow(plain(case.row))
                found.append(case)
            if found:
                learned.writerows(feedback(machine, found))


def estimate_ms(rows: Rows) -> float:
    """CPU milliseconds of an estimate of a prepared program, correction and all, in a batch of thousands."""
    device, model = ibm("exact_hanoi", "hanoi", truth=False).device(), CostModel()
    fits = [Fit(int(row["qubits"]), int(row["gates"]), row["ours"], 1e-5) for row in rows] * (5000 // len(rows) + 1)
    begun = time.process_time()
    for fit in fits:
        model.estimate(prior(device, fit, SHOTS), device, "program", "")
    return (time.process_time() - begun) / len(fits) * 1e3


def tune() -> None:
    """The constants of ``fidelity_interval`` from the tuning circuits."""
    with results("estimators_tuning", COLUMNS, seeds="those of tuning_circuits.py") as table:
        for machine in TUNED_ON:
            for case in cases(machine, list(tuning()), None, "tuning"):
                table.writerow(plain(case.row))
    rows = read(RESULTS / "estimators_tuning.csv")
    too_low, too_high = quantile_of_doubt(rows)
    summarise("estimators_tuning", rows, [], None)
    print(f"TOO_LOW, TOO_HIGH = {too_low:.3f}, {too_high:.3f}")


def main() -> None:
    """Measure, summarise, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circuits", type=Path, help="a folder of OpenQASM files instead of the collection")
    parser.add_argument("--peers", help="a Python interpreter that has the extra `peers`")
    parser.add_argument("--tune", action="store_true", help="measure the constants of the interval instead")
    parser.add_argument("--draw", action="store_true", help="summary and pictures from the CSV that is there")
    parser.add_argument("--quick", action="store_true", help="the first eight circuits alone")
    asked = parser.parse_args()
    if asked.tune:
        tune()
        return
    name = "estimators" if asked.circuits is None else f"estimators_{asked.circuits.resolve().name}"
    if not asked.draw:
        with peer_at(asked.peers) as peer:
            circuits = list(of_others(peer) if asked.circuits is None else of_folder(asked.circuits))
            measure(name, circuits[:8] if asked.quick else circuits, peer)
    rows, learned = read(RESULTS / f"{name}.csv"), read(RESULTS / f"{name}_feedback.csv")
    decided = ("ours", "CPU of an estimate once prepared, ms, mean", "", 5000, estimate_ms(rows), "", "", "<= 0.3")
    summarise(name, rows, learned, NUM_LEARNED, [decided])
    draw(name, rows, learned)


if __name__ == "__main__":
    main()
