"""Every registered circuit family keeps the contract of circuits.family. A new one is tested the moment it is named."""

import json
import math
from dataclasses import fields

import pytest
from qiskit import transpile
from qiskit_aer import AerSimulator

from circuits import CIRCUITS, load
from circuits.counts import clopper_pearson
from circuits.errors import InvalidParameter
from circuits.family import AdaptiveFamily, CircuitFamily, ForeseenFamily
from circuits.features import features
from circuits.fidelity import judge, judge_outcome
from circuits.parameters import domains
from circuits.program import Program
from orchestrator.preparation import RUNS_AT

SHOTS = 2000
families = pytest.mark.parametrize("name", sorted(CIRCUITS))


def simulator() -> AerSimulator:
    return AerSimulator(max_parallel_threads=1, fusion_enable=False, seed_simulator=11)


@families
def test_it_is_a_family_that_builds_with_defaults(name: str) -> None:
    family = load(name)
    assert isinstance(family, CircuitFamily)
    circuit = family.build()
    assert circuit.num_parameters == 0
    assert features(circuit).num_measurements > 0
    assert family.ideal_score > 0


@families
def test_its_noiseless_score_is_its_ideal(name: str) -> None:
    family = load(name)
    device = simulator()
    counts = device.run(transpile(family.build(), device, optimization_level=0), shots=SHOTS).result().get_counts()
    assert not any(" " in bits for bits in counts)
    low, high = clopper_pearson(round(family.score(counts) * SHOTS), SHOTS, confidence=1 - 1e-6)
    assert low <= family.ideal_score <= high
    assert judge(family, counts, None).fidelity == pytest.approx(1.0, abs=0.1)


@families
def test_it_travels_as_json(name: str) -> None:
    family = load(name)
    program = Program.from_any(family)
    record = json.loads(json.dumps(program.to_json(), allow_nan=False))
    assert Program.from_json(record).load() == family
    assert Program.from_json(record).content_hash() == program.content_hash()


@families
def test_every_field_has_a_domain_and_guards_it(name: str) -> None:
    cls = type(load(name))
    assert set(domains(cls)) == {item.name for item in fields(cls)}
    for field in domains(cls):
        values: tuple[object, ...] = (None, True, "no such value", math.nan, 10**30, -(10**30), [], {})
        for value in values:
            with pytest.raises(InvalidParameter, match=field):
                load(name, **{field: value})
    with pytest.raises(InvalidParameter, match="no_such_parameter"):
        load(name, no_such_parameter=1)


@pytest.mark.parametrize("name", [name for name in CIRCUITS if isinstance(load(name), AdaptiveFamily)])
def test_an_adaptive_one_finishes_with_its_ideal_outcome(name: str) -> None:
    family = load(name)
    assert isinstance(family, AdaptiveFamily)
    device = simulator()
    circuits = [transpile(circuit, device, optimization_level=0) for circuit in family.circuits()]
    loop = family.rounds(16, 5)
    try:
        turn = next(loop)
        while True:
            replies = []
            for run in turn.runs:
                circuit = circuits[run.circuit]
                values = {each: run.parameters[each.name] for each in circuit.parameters}
                replies.append(device.run(circuit.assign_parameters(values), shots=run.shots).result().get_counts())
            turn = loop.send(replies)
    except StopIteration as stop:
        outcome = stop.value
    assert outcome.score == pytest.approx(family.ideal_outcome_score, abs=0.05), "as far as so few shots can tell"
    assert outcome.num_rounds >= 1
    assert judge_outcome(family, outcome).fidelity == pytest.approx(1.0, abs=0.05)
    json.dumps(outcome.value, allow_nan=False)


@pytest.mark.parametrize("name", [name for name in CIRCUITS if isinstance(load(name), ForeseenFamily)])
def test_one_that_foresees_its_circuits_expects_no_more_where_each_has_more_shots(name: str) -> None:
    family = load(name)
    assert isinstance(family, ForeseenFamily)
    expected = [family.expected_runs(shots) for shots in RUNS_AT]
    assert expected == sorted(expected, reverse=True)
    assert expected[0] >= 1.0
