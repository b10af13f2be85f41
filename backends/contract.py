"""The contract of ``backends.backend`` as something that can be run, also by whoever writes a backend elsewhere.

    >>> from backends.contract import check
    >>> check("mine")

A clause takes the live backend and raises :class:`ContractBroken`. None of them looks at how good a result is beyond
telling outcomes apart, so a noisy device passes as well as an ideal one. All together they run some 30 small circuits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import pi
from typing import TYPE_CHECKING

from backends import load
from backends.backend import Backend, Device, Execution, SeededBackend, TranspileOptions
from backends.errors import BackendError, ExecutionFailed, UnsupportedCircuit
from circuits.family import Counts, Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

OPTIONS = TranspileOptions()
NOISY = 0.9
"""Part of the shots that must show the likeliest outcome of a few gates (ours: the worst emulated device has 0.95)."""


class ContractBroken(BackendError):
    """A backend does not do what every backend does."""


def check(name: str) -> None:
    """Try every clause on the backend called ``name``.

    Raises:
        UnknownBackend, DependencyNotInstalled: it is not there.
        ContractBroken: the message has one line for each clause that it breaks.
    """
    backend = load(name)
    _expect(isinstance(backend, Backend), f"{name}: wanted device(), warm_up(), prepare() and run()", "not all of them")
    _expect(backend.device().name == name, f"a device called {name!r}, as it is registered", backend.device().name)
    backend.warm_up()
    broken = [f"  {clause.__name__}: {words}" for clause in clauses(backend) if (words := _tried(clause, backend))]
    if broken:
        raise ContractBroken("\n".join([f"{name} breaks {len(broken)} clauses of the contract:", *broken]))


def clauses(backend: Backend) -> list[Clause]:
    """Those that concern it: one that runs no circuits has its record alone to show."""
    if backend.device().kind == "cpu":
        return [the_record_is_plain_json]
    return [clause for clause in CLAUSES if clause is not own_seeds or isinstance(backend, SeededBackend)]


def _tried(clause: Clause, backend: Backend) -> str:
    """What is wrong, in words; empty if nothing is."""
    try:
        clause(backend)
    except ContractBroken as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # whatever a stranger's backend raises is what its author wants to read
        return f"{type(error).__name__}: {error}"
    return ""


def _expect(holds: bool, wanted: str, got: object) -> None:
    if not holds:
        raise ContractBroken(f"wanted {wanted}, got {got}")


def _refused(backend: Backend, circuit: QuantumCircuit, *words: str) -> None:
    """The circuit must be refused when it is prepared, in a message with these words."""
    try:
        backend.prepare([circuit], OPTIONS)
    except UnsupportedCircuit as error:
        _expect(all(word in str(error) for word in words), f"a refusal that says {' and '.join(words)!r}", str(error))
    else:
        raise ContractBroken(f"wanted UnsupportedCircuit that says {' and '.join(words)!r}, got no refusal")


def _flip(num_qubits: int, *qubits: int) -> QuantumCircuit:
    """These qubits flipped, all measured."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(num_qubits, num_qubits)
    circuit.x(list(qubits))
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def _bell() -> QuantumCircuit:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def _run(
    backend: Backend, circuits: Sequence[QuantumCircuit], runs: Sequence[Run], seed: int = 5, memory: bool = False
) -> Execution:
    return backend.run(backend.prepare(circuits, OPTIONS), runs, seed=seed, memory=memory)


def _likeliest(counts: Counts) -> str:
    return max(counts, key=counts.__getitem__)


def _shows(backend: Backend, circuit: QuantumCircuit, bits: str) -> None:
    """The circuit's likeliest outcome is ``bits``."""
    counts = _run(backend, [circuit], [Run(shots=200)]).counts[0]
    _expect(counts.get(bits, 0) > NOISY * 200, f"mostly {bits!r}", counts)


def the_record_is_plain_json(backend: Backend) -> None:
    """A device crosses wires, and its target is the same on the other side."""
    import msgspec

    device = backend.device()
    decoded = msgspec.json.decode(msgspec.json.encode(device), type=Device)
    _expect(decoded == device, "a record that JSON gives back", decoded)
    _expect(decoded.target_version == device.target_version, "one target version", decoded.target_version)


def bit_order(backend: Backend) -> None:
    """Classical bit 0 is the rightmost character."""
    _shows(backend, _flip(2, 0), "01")


def counts_and_order(backend: Backend) -> None:
    """Counts sum to their shots, and runs keep their order, whichever circuit they are of."""
    wanted = [Run(30, circuit=0), Run(50, circuit=1), Run(30, circuit=1), Run(7, circuit=0), Run(30, circuit=0)]
    done = _run(backend, [_flip(2, 0), _flip(2, 1)], wanted, seed=3)
    sums = [sum(counts.values()) for counts in done.counts]
    _expect(sums == [30, 50, 30, 7, 30], "counts that sum to 30, 50, 30, 7, 30", sums)
    tops = [_likeliest(counts) for counts in done.counts]
    _expect(tops == ["01", "10", "10", "01", "01"], "the outcomes of circuits 0, 1, 1, 0, 0", tops)
    _expect(done.memory is None, "no memory, since nobody asked", done.memory)
    _expect(done.run_s > 0.0 and bool(done.method), "run_s > 0 and a method", (done.run_s, done.method))


def the_seed_decides(backend: Backend) -> None:
    """The same seed gives the same counts; runs of one call do not repeat each other's shots."""
    wanted = [Run(200), Run(200)]
    first, again, other = (_run(backend, [_bell()], wanted, seed, memory=True) for seed in (11, 11, 12))
    _expect((first.counts, first.memory) == (again.counts, again.memory), "the same shots of seed 11", "others")
    _expect(first.memory != other.memory, "other shots of seed 12", "the same")
    memory = first.memory or ((), ())
    _expect(memory[0] != memory[1], "two runs with shots of their own", "the same shots twice")


def memory_shot_by_shot(backend: Backend) -> None:
    """The memory is the counts, shot by shot."""
    done = _run(backend, [_bell()], [Run(100), Run(60)], memory=True)
    memory = done.memory or ()
    _expect([len(shots) for shots in memory] == [100, 60], "100 and 60 shots", [len(shots) for shots in memory])
    _expect([dict(Counter(shots)) for shots in memory] == list(done.counts), "the same in memory and counts", "not so")


def free_parameters(backend: Backend) -> None:
    """Parameters stay free until the run, and a run gives all of them; a Clifford device refuses them."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    theta, phi = Parameter("theta"), Parameter("phi")
    circuit = QuantumCircuit(2, 2)
    circuit.rx(theta, 0)
    circuit.ry(phi, 1)
    circuit.measure([0, 1], [0, 1])
    if backend.device().clifford_only:
        _refused(backend, circuit, "Clifford")
        return
    prepared = backend.prepare([circuit], OPTIONS)
    _expect(prepared[0].num_parameters == 2, "2 free parameters once prepared", prepared[0].num_parameters)
    runs = [Run(100, 0, {"theta": a, "phi": b}) for a, b in ((pi, 0.0), (0.0, 0.0), (pi, pi), (0.0, pi))]
    tops = [_likeliest(counts) for counts in backend.run(prepared, runs, seed=1).counts]
    _expect(tops == ["01", "00", "11", "10"], "outcomes that follow the parameters", tops)
    try:
        backend.run(prepared, [Run(10, 0, {"phi": 0.0})], seed=1)
    except ExecutionFailed as error:
        _expect("theta" in str(error), "an error that names the parameter without a value", str(error))
    else:
        raise ContractBroken("wanted ExecutionFailed for a parameter without a value, got counts")


def several_registers(backend: Backend) -> None:
    """Some qubits measured into swapped bits of several registers; bits that nothing is measured into are 0."""
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

    first, second = ClassicalRegister(2, "b"), ClassicalRegister(3, "a")
    circuit = QuantumCircuit(QuantumRegister(4, "q"), first, second)
    circuit.x([0, 2])
    circuit.measure(2, second[0])  # classical bit 2
    circuit.measure(0, second[2])  # classical bit 4
    circuit.measure(1, first[1])  # classical bit 1
    counts = _run(backend, [circuit], [Run(200)]).counts[0]
    _expect(_likeliest(counts) == "10100", "mostly '10100'", counts)
    _expect(all(bits[1] == bits[4] == "0" for bits in counts), "0 in bits 0 and 3", counts)


def idle_qubits(backend: Backend) -> None:
    """Qubits that nothing acts on do not count."""
    from qiskit import QuantumCircuit

    width = backend.device().num_qubits + 5
    circuit = QuantumCircuit(width, 2)
    circuit.x(width - 1)
    circuit.measure([width - 1, 0], [0, 1])
    _shows(backend, circuit, "01")


def too_wide(backend: Backend) -> None:
    """A circuit that is too wide is refused with the device's name and the circuit's width."""
    device = backend.device()
    width = min(device.num_qubits, device.max_active_qubits) + 1
    _refused(backend, _flip(width, *range(width)), device.name, str(width))


def nothing_measured(backend: Backend) -> None:
    """A circuit that measures nothing is refused."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1)
    circuit.x(0)
    _refused(backend, circuit, "add measurements")


def feed_forward(backend: Backend) -> None:
    """What depends on measured bits runs, or is refused, as announced."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    if backend.device().dynamic and backend.device().feed_forward:
        _shows(backend, circuit, "11")
    else:
        _refused(backend, circuit, "dynamic")


def middle_of_the_circuit(backend: Backend) -> None:
    """Measuring and resetting in mid-circuit runs, or is refused, as announced."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 3)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.measure(0, 1)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure(1, 2)
    if backend.device().dynamic:
        counts = _run(backend, [circuit], [Run(100)]).counts[0]
        _expect(_likeliest(counts) == "101", "mostly '101'", counts)
    else:
        _refused(backend, circuit, "static circuits alone")


def own_seeds(backend: Backend) -> None:
    """Runs of several users in one call: each gets what it would get alone."""
    if not isinstance(backend, SeededBackend):
        raise ContractBroken("wanted run_seeded(), got a backend without it")
    prepared = backend.prepare([_bell()], OPTIONS)
    wanted, seeds = [Run(100), Run(60), Run(100), Run(100)], [1, 2, 1, 5]
    together = backend.run_seeded(prepared, wanted, seeds).counts
    alone = tuple(
        backend.run_seeded(prepared, [run], [seed]).counts[0] for run, seed in zip(wanted, seeds, strict=True)
    )
    _expect(tuple(together) == alone, f"what each run gives alone, {alone}", together)
    _expect(together[0] != together[3], "other counts of another seed", together)
    kept = backend.run_seeded(prepared, wanted, seeds, memory=True)
    counted = [dict(Counter(shots)) for shots in kept.memory or ()]
    _expect(counted == list(together) == list(kept.counts), "the same counts with memory and without", counted)


Clause = Callable[[Backend], None]
CLAUSES: tuple[Clause, ...] = (
    the_record_is_plain_json,
    bit_order,
    counts_and_order,
    the_seed_decides,
    memory_shot_by_shot,
    free_parameters,
    several_registers,
    idle_qubits,
    too_wide,
    nothing_measured,
    feed_forward,
    middle_of_the_circuit,
    own_seeds,
)
"""What every backend is held to."""
