"""Convert all of MQT Bench and the trap files of the tests along every path; write the table of what converts to what.

    pip install mqt.bench==2.3.0
    python examples/benchmarks/conversions.py [--sizes 2 3 ... 20] [--only ghz qft] [--resume]

Every benchmark is made at every size that loads. In: as Qiskit circuit, as OpenQASM 2 and 3 text that Qiskit writes,
and as an object of Cirq, Braket and PennyLane. Out: to the circuit of each SDK behind a backend. A static conversion is
ok if the state it gives, simulated by the SDK it went to, overlaps with Qiskit's by 1 - 1e-9 up to global phase; a
dynamic one if 2 000 shots (above 10 qubits 200) on Aer with one seed give the same counts. Else it was rejected, with
our reason, or it failed. "none" means that there was nothing to convert: that circuit cannot be written there. One row
each stands in ``results/conversions.csv``; ``CONVERSIONS.md`` sums them up. Interrupting it keeps the rows so far, and
``--resume`` goes on after them. Above 14 qubits circuits of Cirq and Braket are read back and simulated by Aer.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from evidence import RESULTS, results
from qiskit import QuantumCircuit, qasm2, qasm3, transpile
from qiskit.exceptions import QiskitError
from qiskit_aer import AerSimulator

from backends import load
from backends.backend import TranspileOptions
from backends.conversion import to_braket, to_cirq, to_pennylane
from backends.errors import BackendError
from circuits.counts import hellinger_fidelity
from circuits.errors import CircuitError
from circuits.program import Program
from circuits.structure import NOT_GATES, drop_idle_qubits, is_dynamic

ROOT = Path(__file__).parents[2]
TRAPS = ROOT / "tests" / "circuits" / "traps"
ENOUGH = 1.0 - 1e-9
MOST_WORK = 2.0**31
"""Gates times amplitudes above which a state is not simulated: some ten seconds."""

MOST_SIMULATED = 2**14
"""Amplitudes of the largest state that every SDK simulates itself."""

WAYS_IN = ("qiskit", "openqasm2", "openqasm3", "cirq", "braket", "pennylane")
WAYS_OUT = ("aer", "cirq", "braket", "pennylane")
OPTIONS = TranspileOptions(optimization_level=0)
Array = np.ndarray[Any, np.dtype[np.complex128]]


@dataclass(frozen=True)
class Row:
    """One conversion.

    Attributes:
        outcome: "ok", "unchecked" (converted, and too much work to simulate), "rejected", "failed" or "none".
        overlap: of the states, or Hellinger fidelity of the counts of a dynamic circuit; empty if there is none.
        time_ms: wall time of the conversion alone; inward it includes writing and reading the program's text.
    """

    benchmark: str
    num_qubits: int
    way: str
    outcome: str
    overlap: str = ""
    time_ms: str = ""
    reason: str = ""


def state(circuit: QuantumCircuit) -> Array | None:
    """Final state of the gates on the active qubits; complex (2**k,), qubit 0 in index bit 0. None: too much work."""
    small = drop_idle_qubits(circuit)
    bare = small.copy_empty_like()
    for item in small.data:
        if item.operation.name not in NOT_GATES:
            bare.append(item)
    bare = transpile(bare, AerSimulator(method="statevector"), optimization_level=0)
    if bare.size() * 2.0**bare.num_qubits > MOST_WORK:
        return None
    bare.save_statevector()
    return np.asarray(AerSimulator(method="statevector", max_parallel_threads=1).run(bare).result().get_statevector())


def counts(circuit: QuantumCircuit) -> dict[str, int]:
    """Shots of a dynamic circuit; wide ones as matrix product states, since each shot is a simulation."""
    wide = circuit.num_qubits > 10
    method = "matrix_product_state" if wide else "statevector"
    fitted = transpile(circuit, AerSimulator(method=method), optimization_level=0)
    options = {"seed_simulator": 7, "max_parallel_threads": 1, "enable_truncation": False}
    found = AerSimulator(method=method, **options).run(fitted, shots=200 if wide else 2_000).result().get_counts()
    return {key.replace(" ", ""): number for key, number in found.items()}


def of_cirq(circuit: Any) -> Array:
    """Final state of a Cirq circuit, as Cirq simulates it."""
    import cirq

    order = sorted(circuit.all_qubits(), reverse=True)
    return np.asarray(cirq.Simulator(dtype=np.complex128).simulate(circuit, qubit_order=order).final_state_vector)


def of_braket(circuit: Any) -> Array:
    """Final state of a Braket circuit, as its local simulator gives it."""
    from braket.devices import LocalSimulator

    found = LocalSimulator("braket_sv").run(circuit.copy().state_vector(), shots=0).result().values[0]
    return reversed_bits(np.asarray(found))


def of_pennylane(tape: Any) -> Array:
    """Final state of a tape, as lightning gives it."""
    import pennylane as qml

    device = qml.device("lightning.qubit", wires=sorted(tape.wires, reverse=True))
    return np.asarray(device.execute(qml.tape.QuantumScript(tape.operations, [qml.state()])))


def reversed_bits(amplitudes: Array) -> Array:
    """The same state with the order of its qubits turned round."""
    return amplitudes.reshape([2] * (len(amplitudes).bit_length() - 1)).T.reshape(-1)


SPOKES: dict[str, tuple[str, Callable[..., Any], Callable[[Any], Array]]] = {
    "cirq": ("cirq_simulator", to_cirq, of_cirq),
    "braket": ("braket_local", to_braket, of_braket),
    "pennylane": ("pennylane_lightning", to_pennylane, of_pennylane),
}
"""Name -> backend, conversion, and the SDK's own final state."""


def overlap(one: Array, other: Array) -> float:
    """Absolute value of the inner product; 0 if the sizes differ."""
    return float(abs(np.vdot(one, other))) if one.shape == other.shape else 0.0


@dataclass(frozen=True)
class Reference:
    """What a benchmark's conversions are held against."""

    name: str
    circuit: QuantumCircuit
    dynamic: bool
    ideal: Any

    def agreement(self, circuit: QuantumCircuit) -> float | None:
        """Overlap of the states, or fidelity of the counts; None: too much work."""
        if self.dynamic:
            return hellinger_fidelity(counts(circuit), self.ideal)
        found = None if self.ideal is None else state(circuit)
        return None if found is None else overlap(found, self.ideal)


def reference(name: str, circuit: QuantumCircuit) -> Reference:
    """A circuit with its ideal."""
    dynamic = is_dynamic(circuit)
    if not any(item.operation.name == "measure" for item in circuit.data) and not dynamic:
        circuit = circuit.measure_all(inplace=False)
    return Reference(name, circuit, dynamic, counts(circuit) if dynamic else state(circuit))


def inward(known: Reference) -> Iterator[Row]:
    """Every way in: made by the SDK named, sent as text, read again."""
    for way in WAYS_IN:
        try:
            source = foreign(way, known.circuit)
        except (BackendError, QiskitError, TypeError) as error:
            yield row(known, f"in {way}", "none", reason=error)
            continue
        yield attempt(
            known, f"in {way}", lambda source=source: Program.from_any(source).load().build(), known.agreement
        )


def foreign(way: str, circuit: QuantumCircuit) -> Any:
    """The circuit as something that a user of another SDK holds."""
    if way == "qiskit":
        return circuit
    if way == "openqasm2":
        return qasm2.dumps(circuit)
    if way == "openqasm3":
        return qasm3.dumps(circuit)
    backend, convert, _ = SPOKES[way]
    return convert(load(backend).prepare([circuit], OPTIONS)[0]).circuit


def outward(known: Reference) -> Iterator[Row]:
    """Every way out, from the program as a worker reads it."""
    try:
        circuit = Program.from_any(known.circuit).load().build()
    except CircuitError as error:
        yield from (row(known, f"out {way}", "none", reason=error) for way in WAYS_OUT)
        return
    aer = load("aer_statevector")
    yield attempt(known, "out aer", lambda: aer.prepare([circuit], OPTIONS)[0], known.agreement)
    for way, (name, convert, simulated) in SPOKES.items():
        yield attempt(
            known,
            f"out {way}",
            lambda name=name, convert=convert: convert(load(name).prepare([circuit], OPTIONS)[0]).circuit,
            lambda found, way=way, simulated=simulated: (
                overlap(simulated(found), known.ideal)
                if known.ideal is not None and (way == "pennylane" or len(known.ideal) <= MOST_SIMULATED)
                else known.agreement(Program.from_any(found).load().build())
            ),
        )


def attempt(known: Reference, way: str, convert: Callable[[], Any], check: Callable[[Any], float | None]) -> Row:
    """Convert, check, and say how it went."""
    started = time.perf_counter()
    try:
        found = convert()
    except (CircuitError, BackendError) as error:
        return row(known, way, "rejected", reason=error)
    except Exception as error:  # noqa: BLE001  # this is what the table is to show
        return row(known, way, "failed", reason=error)
    time_ms = 1e3 * (time.perf_counter() - started)
    agreement = check(found)
    if agreement is None:
        return row(known, way, "unchecked", time_ms=f"{time_ms:.2f}")
    outcome = "ok" if agreement >= ENOUGH else "failed"
    return row(known, way, outcome, overlap=f"{agreement:.12f}", time_ms=f"{time_ms:.2f}")


def row(known: Reference, way: str, outcome: str, *, reason: object = "", **fields: str) -> Row:
    """One line of the table."""
    words = " ".join(str(reason).split())[:160]
    return Row(known.name, known.circuit.num_qubits, way, outcome, reason=words, **fields)


def benchmarks(sizes: Sequence[int], only: Sequence[str]) -> Iterator[tuple[str, QuantumCircuit]]:
    """All that loads, in the order of the sizes."""
    try:
        from mqt.bench import BenchmarkLevel, get_benchmark
        from mqt.bench.benchmarks import get_available_benchmark_names
    except ImportError as error:
        raise SystemExit("this needs MQT Bench: pip install mqt.bench==2.3.0") from error
    for size in sizes:
        for name in only or get_available_benchmark_names():
            try:
                circuit = get_benchmark(name, level=BenchmarkLevel.ALG, circuit_size=size)
            except Exception:  # noqa: BLE001, S112  # in many ways it says that it has no such size
                continue
            if circuit.num_qubits <= max(sizes):
                yield name, circuit


def traps() -> Iterator[Row]:
    """The trap files: read, or refused."""
    for path in sorted(TRAPS.glob("*.qasm")):
        way = "in " + ("openqasm3" if "OPENQASM 3" in path.read_text() else "openqasm2")
        known = Reference(f"trap {path.stem}", QuantumCircuit(), False, None)
        yield attempt(known, way, lambda path=path: Program.from_any(path).load().build(), lambda _: 1.0)


def page(rows: Sequence[Row]) -> str:
    """The table in Markdown: one line a benchmark, one column a way."""
    ways = [f"in {way}" for way in WAYS_IN] + [f"out {way}" for way in WAYS_OUT]
    chosen = [each for each in rows if not each.benchmark.startswith("trap ")]
    names = sorted({each.benchmark for each in chosen})
    lines = [
        "# What converts to what",
        "",
        f"Written by `examples/benchmarks/conversions.py` from {len(chosen)} conversions of {len(names)} benchmarks of",
        f"MQT Bench 2.3.0 at every size of {_spans({each.num_qubits for each in chosen})} that loads; the rows are in",
        "[conversions.csv](examples/benchmarks/results/conversions.csv). A cell is `ok/tried`; `–` means that no such",
        "circuit exists there: it cannot be written in that language. All that is not ok was rejected, with a reason,",
        "unless a cell says `failed`, or `unchecked`: too large to simulate. ok: overlap of states ≥ 1 − 1e-9 up to",
        "global phase; equal counts if dynamic.",
        "",
        "| benchmark | qubits | " + " | ".join(ways) + " |",
        "|---" * (len(ways) + 2) + "|",
    ]
    for name in names:
        own = [each for each in chosen if each.benchmark == name]
        sizes = {each.num_qubits for each in own}
        cells = [_cell([each for each in own if each.way == way]) for way in ways]
        lines.append(f"| {name} | {_spans(sizes)} | " + " | ".join(cells) + " |")
    for title, value in (("all", _cell), ("worst 1 − overlap", _worst), ("median ms", _median)):
        lines.append(
            f"| **{title}** | | " + " | ".join(value([r for r in chosen if r.way == way]) for way in ways) + " |"
        )
    lines += ["", "## Reasons given", ""]
    reasons: dict[str, int] = {}
    for each in chosen:
        if each.outcome in ("rejected", "failed"):
            said = f"{each.way}, {each.outcome}: {_general(each.reason)}"
            reasons[said] = reasons.get(said, 0) + 1
    lines += [f"- {number} × {said}" for said, number in sorted(reasons.items())] or ["None."]
    lines += ["", "## Trap files", "", "| file | outcome | reason |", "|---|---|---|"]
    lines += [
        f"| {each.benchmark.removeprefix('trap ')} | {each.outcome} | {each.reason.replace('|', '/')} |"
        for each in rows
        if each.benchmark.startswith("trap ")
    ]
    return "\n".join(lines) + "\n"


def _spans(numbers: set[int]) -> str:
    """Whole numbers as text: 2–10, 12, 16."""
    starts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number for number in numbers if number + 1 not in numbers)
    return ", ".join(f"{one}–{other}" if other > one else f"{one}" for one, other in zip(starts, ends, strict=True))


def _cell(rows: Sequence[Row]) -> str:
    tried = [each for each in rows if each.outcome != "none"]
    if not tried:
        return "–"
    cell = f"{sum(each.outcome == 'ok' for each in tried)}/{len(tried)}"
    for outcome in ("failed", "unchecked"):
        number = sum(each.outcome == outcome for each in tried)
        cell += f", {number} {outcome}" if number else ""
    return cell


def _worst(rows: Sequence[Row]) -> str:
    return f"{max((1.0 - float(each.overlap) for each in rows if each.overlap), default=0.0):.0e}"


def _median(rows: Sequence[Row]) -> str:
    times_ms = [float(each.time_ms) for each in rows if each.time_ms]
    return f"{median(times_ms):.1f}" if times_ms else "–"


def _general(reason: str) -> str:
    """A reason without the circuit's name and numbers."""
    return reason.split(": ", 1)[-1] if reason.startswith("circuit ") else reason


def earlier() -> list[Row]:
    """The benchmarks' rows of an earlier run."""
    with (RESULTS / "conversions.csv").open(newline="") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        found = [Row(**line | {"num_qubits": int(line["num_qubits"])}) for line in lines]
    whole = {(each.benchmark, each.num_qubits) for each in found if each.way == f"out {WAYS_OUT[-1]}"}
    return [each for each in found if (each.benchmark, each.num_qubits) in whole]


def main() -> None:
    """Convert, write, sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=range(2, 21))
    parser.add_argument("--resume", action="store_true", help="keep the rows that conversions.csv has")
    parser.add_argument("--only", nargs="*", default=[], help="names of benchmarks; no page is written then")
    options = parser.parse_args()
    rows = earlier() if options.resume else []
    done = {(each.benchmark, each.num_qubits) for each in rows}
    for name in ("braket_local", "cirq_simulator", "pennylane_lightning"):
        load(name).warm_up()
    header = list(Row.__annotations__)
    with results("conversions" + "_some" * bool(options.only), header, seeds="7 (shots of dynamic circuits)") as table:
        table.writerows(map(astuple, rows))
        try:
            for name, circuit in benchmarks(options.sizes, options.only):
                if (name, circuit.num_qubits) in done:
                    continue
                done.add((name, circuit.num_qubits))
                started = time.perf_counter()
                known = reference(name, circuit)
                new = [*inward(known), *outward(known)]
                rows += new
                table.writerows(map(astuple, new))
                oks = sum(each.outcome == "ok" for each in new)
                time_s = time.perf_counter() - started
                print(f"{name} {circuit.num_qubits}: {oks} of {len(new)} ok, {time_s:.1f} s", flush=True)
        except KeyboardInterrupt:
            print("interrupted: what follows sums up the rows so far", flush=True)
        fallen = list(traps())
        rows += fallen
        table.writerows(map(astuple, fallen))
    for each in rows:
        if each.outcome == "failed":
            print("FAILED", *astuple(each))
    if not options.only:
        (ROOT / "CONVERSIONS.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
