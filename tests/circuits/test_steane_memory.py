"""Memory experiments: one noise on two engines, no single fault that matters, errors that grow as they should."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import stim
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from scipy.stats import binomtest, fisher_exact

from circuits.errors import InvalidParameter, InvalidProgram
from circuits.steane import Steane, extraction
from circuits.steane.audit import audit
from circuits.steane.extraction import SCHEMES, Observed, decode
from circuits.steane.family import memory_circuit, rows_of
from circuits.steane.frames import run, steps, turn, with_noise
from circuits.steane.level2 import Memory2
from circuits.steane.memory import ENGINES, Memory, Tally, per_round
from circuits.steane.noise import CHANNELS, Place, around, noisy
from circuits.steane.scaling import scaling

EVERY = [(scheme, basis) for scheme in SCHEMES for basis in "zx"]
LEAST = 1e-11  # of a p-value: a hundred comparisons fail wrongly once in 1e9 suites


@pytest.mark.parametrize(("scheme", "basis"), EVERY)
@pytest.mark.parametrize("engine", ENGINES)
def test_without_noise_nothing_fails_and_nothing_is_discarded(scheme: str, basis: str, engine: str) -> None:
    found = Memory(p=0.0, rounds=3, shots=60, basis=basis, scheme=scheme, engine=engine).run()
    assert found == Tally(60, 60, 0, 3)


@pytest.mark.parametrize(("scheme", "basis"), EVERY)
def test_aer_and_stim_agree(scheme: str, basis: str) -> None:
    aer = Memory(p=1.5e-2, rounds=2, shots=400, basis=basis, scheme=scheme, engine="aer", seed=1).run()
    mine = Memory(p=1.5e-2, rounds=2, shots=60_000, basis=basis, scheme=scheme, seed=2).run()
    kept = [[tally.accepted, tally.shots - tally.accepted] for tally in (aer, mine)]
    wrong = [[tally.failures, tally.accepted - tally.failures] for tally in (aer, mine)]
    assert fisher_exact(kept).pvalue > LEAST
    assert fisher_exact(wrong).pvalue > LEAST
    assert aer.failures > 0


@pytest.mark.parametrize(
    ("gates", "p", "ones"),
    [
        (("reset",), 0.3, 0.3),
        (("measure",), 0.3, 0.3),
        (("z",), 0.3, 0.2),  # X and Y of the three Paulis
        (("cx",), 0.3, 0.16),  # eight of fifteen turn the qubit
        (("z",), 1.0, 2 / 3),
    ],
)
def test_the_convention_of_the_noise_is_the_same_on_both_engines(gates: tuple[str, ...], p: float, ones: float) -> None:
    """Total probability p, equal weights; before a measurement, after anything else."""
    shots = 4_000
    circuit = QuantumCircuit(2, 1)
    for name in gates:
        if name != "measure":
            getattr(circuit, name)(*range(2 if name == "cx" else 1))
    circuit.measure(0, 0)
    span = range(1) if gates != ("measure",) else range(len(circuit.data))
    broken = noisy(circuit, span, p)
    counts = AerSimulator(method="stabilizer", max_parallel_threads=1).run(broken, shots=shots, seed_simulator=3)
    bits = np.zeros((1, shots), dtype=np.bool_)
    simulator = stim.FlipSimulator(batch_size=shots, num_qubits=2, seed=3)
    run(with_noise(steps(circuit, span), p), simulator, bits, np.random.default_rng(3))
    for number in (counts.result().get_counts().get("1", 0), int(bits.sum())):
        assert binomtest(number, shots, ones).pvalue > LEAST


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("basis", ["z", "x"])
@pytest.mark.parametrize(
    ("scheme", "num_faults", "num_wrong"), [("steane", 1094, 0), ("flag", 600, 0), ("bare", 390, 64)]
)
def test_no_single_fault_turns_the_logical_value_of_a_fault_tolerant_scheme(
    scheme: str, basis: str, rounds: int, num_faults: int, num_wrong: int
) -> None:
    found = audit(scheme, basis, rounds)
    assert found.num_faults == rounds * num_faults
    assert len(found.failures) == rounds * num_wrong
    assert (found.rejected > 0) == (scheme == "steane")


@pytest.mark.parametrize("scheme", ["steane", "flag"])
@pytest.mark.parametrize("basis", ["z", "x"])
def test_it_is_the_witness_and_the_flag_that_make_it_so(
    scheme: str, basis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SCHEMES[scheme]

    def blind(rows: extraction.Rows, half: int) -> Observed:
        seen = made.observe(rows, half)
        return Observed(seen.syndrome, np.zeros_like(seen.flip), np.zeros_like(seen.rejected))

    monkeypatch.setitem(SCHEMES, scheme, replace(made, observe=blind))
    assert len(audit(scheme, basis).failures) > 0


@pytest.mark.parametrize("scheme", ["steane", "flag"])
def test_the_logical_error_is_quadratic_for_fault_tolerant_schemes(scheme: str) -> None:
    points = [(p, Memory(p=p, shots=250_000, scheme=scheme).run()) for p in (6e-4, 2e-3)]
    found = scaling(points)
    assert 1.75 < found.slope < 2.15  # fifth-order terms bend it by less than 0.1 here; its deviation is 0.04
    assert found.slope_interval[0] < found.slope < found.slope_interval[1]
    assert found.crossing is not None
    assert 7e-4 < found.crossing < 2.5e-3


def test_the_bare_scheme_never_pays() -> None:
    points = [(p, Memory(p=p, shots=200_000, scheme="bare").run()) for p in (3e-4, 1e-3)]
    found = scaling(points)
    assert 0.85 < found.slope < 1.15
    assert found.crossing is None
    assert all((tally.error_per_round or 0.0) > 3 * p for p, tally in points)


def test_the_same_seed_gives_the_same_tally_and_batches_differ() -> None:
    asked = Memory(p=5e-3, shots=200_000)
    batches = list(asked.batches())
    assert sum(batch.shots for batch in batches) == 200_000
    assert batches[0] != batches[1]
    assert list(asked.batches()) == batches
    assert replace(asked, seed=8).run() != asked.run()


@pytest.mark.parametrize("engine", ENGINES)
def test_at_full_noise_nothing_is_known(engine: str) -> None:
    found = Memory(p=1.0, rounds=1, shots=1000, scheme="flag", engine=engine, seed=3).run()
    assert found.interval(1 - 1e-9)[1] > 0.4


def test_no_shot_kept_is_no_answer() -> None:
    nothing = Tally(10, 0, 0, 1)
    assert nothing.error_per_round is None
    assert nothing.interval() == (0.0, 0.5)


@given(st.floats(1e-6, 0.499), st.integers(1, 50))
def test_a_rate_per_round_adds_up_to_the_failure_of_all_rounds(rate: float, rounds: int) -> None:
    failure = (1.0 - (1.0 - 2.0 * rate) ** rounds) / 2.0
    if failure < 0.49:
        assert per_round(failure, rounds) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [("p", -0.1), ("p", 1.1), ("p", float("nan")), ("rounds", 0), ("shots", 0), ("basis", "y"), ("engine", "gpu")],
)
def test_parameters_out_of_range_are_named(name: str, value: object) -> None:
    with pytest.raises(InvalidParameter, match=rf"Memory\.{name}: wanted .* got"):
        Memory(**{name: value})  # type: ignore[arg-type]


def test_a_power_law_is_found_again() -> None:
    points = [(p, Tally(10**9, 10**9, round(800 * p**2 * 10**9), 1)) for p in (3e-4, 1e-3, 3e-3)]
    found = scaling(points)
    assert found.slope == pytest.approx(2.0, abs=1e-3)
    assert found.crossing == pytest.approx(1 / 800, rel=1e-3)
    assert found.crossing_interval is not None
    assert found.crossing_interval[0] < 1 / 800 < found.crossing_interval[1]


@pytest.mark.parametrize(
    "points", [[(1e-3, Tally(9, 9, 3, 1))], [(1e-3, Tally(9, 9, 3, 1)), (2e-3, Tally(9, 9, 0, 1))]]
)
def test_a_power_law_needs_two_points_with_failures(points: list[tuple[float, Tally]]) -> None:
    with pytest.raises(InvalidParameter, match="take more shots"):
        scaling(points)


def test_what_frames_cannot_do_they_say() -> None:
    other = QuantumCircuit(1, 1)
    other.measure(0, 0)
    with other.if_test((other.clbits[0], 1)) as otherwise:
        other.x(0)
    with otherwise:
        other.z(0)
    with pytest.raises(InvalidProgram, match="without an else"):
        steps(other, range(0))
    turned = QuantumCircuit(1)
    turned.t(0)
    with pytest.raises(InvalidProgram, match="'t'"):
        steps(turned, range(0))


def test_level_2_keeps_what_it_is_given_without_noise() -> None:
    for basis in "zx":
        assert Memory2(p=0.0, shots=50, basis=basis).run() == Tally(50, 50, 0, 1)


def test_level_2_falls_faster_than_level_1() -> None:
    points = [(p, Memory2(p=p, shots=6_000).run()) for p in (1.4e-3, 2.8e-3)]
    assert 2.3 < scaling(points).slope < 4.5
    assert Memory2(p=2e-3, shots=500).run() == Memory2(p=2e-3, shots=500).run()


@pytest.mark.parametrize("basis", ["z", "x"])
def test_the_flag_family_decodes_what_feed_forward_restored(basis: str) -> None:
    """Any Pauli on one data qubit between encoder and first round, on a simulator that knows no frames."""
    family = Steane(rounds=2, basis=basis, scheme="flag", ancillas="reset")
    circuit = family.build()
    assert circuit.num_qubits == 9
    simulator = AerSimulator(method="stabilizer", max_parallel_threads=1, seed_simulator=7)
    for pauli in "xyz":
        broken = circuit.copy_empty_like()
        for item in circuit.data:
            broken.append(item)
            if item.operation.name == "barrier":
                getattr(broken, pauli)(4)
        assert family.score(simulator.run(broken, shots=20).result().get_counts()) == 1.0


def test_shots_with_two_faults_take_the_same_branches_on_frames_and_on_a_tableau() -> None:
    """Every bit of the flag scheme is determined by the faults, so the engines agree bit by bit."""
    circuit, span = memory_circuit("flag", 2, "z", reset_all=True)
    program, draw = steps(circuit, span), random.Random(3)
    places = [step for step in program if isinstance(step, Place)]
    cases = [
        {k: draw.choice(CHANNELS[places[k].channel][1]) for k in draw.sample(range(len(places)), 2)} for _ in range(80)
    ]
    simulator = stim.FlipSimulator(batch_size=len(cases), num_qubits=9, seed=1)
    bits = np.zeros((circuit.num_clbits, len(cases)), dtype=np.bool_)
    number = 0
    for step in program:
        if not isinstance(step, Place):
            run(with_noise([step], 0.0), simulator, bits, np.random.default_rng(1))
            continue
        flips = np.zeros((2, 9, len(cases)), dtype=np.bool_)
        for shot, case in enumerate(cases):
            for letter, qubit in zip(case.get(number, ""), step.qubits, strict=False):
                flips[:, qubit, shot] = letter in "XY", letter in "ZY"
        turn(simulator, list(flips))
        number += 1
    broken = [_with_faults(circuit, span, case) for case in cases]
    result = AerSimulator(method="stabilizer", max_parallel_threads=1, seed_simulator=5).run(broken, shots=1).result()
    told = rows_of(format(int(next(iter(result.data(k)["counts"])), 16), f"0{circuit.num_clbits}b") for k in range(80))
    assert np.array_equal(bits[:-7], told[:-7])
    assert bits[12:18].any(), "some shot was restored"
    assert np.array_equal(*(decode(SCHEMES["flag"], rows, 2, "z")[0] for rows in (bits, told)))


def _with_faults(circuit: QuantumCircuit, span: range, case: dict[int, str]) -> QuantumCircuit:
    """The circuit with Paulis at some of its places, counted in time order outside branches."""
    made, number = circuit.copy_empty_like(), 0
    for position, item in enumerate(circuit.data):
        qubits = tuple(circuit.find_bit(bit).index for bit in item.qubits)
        quiet = position not in span or item.operation.name == "if_else"
        before, after = (None, None) if quiet else around(item.operation.name, qubits)
        for place, late in ((before, False), (after, True)):
            if late:
                made.append(item)
            if place is not None:
                for letter, qubit in zip(case.get(number, ""), place.qubits, strict=False):
                    if letter != "I":
                        getattr(made, letter.lower())(qubit)
                number += 1
    return made
