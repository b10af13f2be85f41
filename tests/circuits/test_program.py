"""Programs: what users bring arrives unchanged, and nothing that comes from outside can do harm."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import ClassicalRegister, Parameter
from qiskit.circuit.library import PermutationGate, QFTGate, efficient_su2, real_amplitudes
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator

from circuits.errors import CircuitError, InvalidProgram, UnknownCircuit
from circuits.features import features
from circuits.fidelity import ideal_distribution
from circuits.program import Limits, Program, UserCircuit, is_scored
from circuits.steane import Steane

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
BELL3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n'
HEAD2, HEAD3 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n', 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
NESTED2 = "gate g0 a{x a;x a;}" + "".join(f"gate g{i} a{{g{i - 1} a;g{i - 1} a;}}" for i in range(1, 45))
NESTED3 = "gate g0(t) a{rx(t) a;}" + "".join(f"gate g{i}(t) a{{g{i - 1}(t) a;g{i - 1}(t) a;}}" for i in range(1, 45))
CHAIN2 = "gate g0 a{x a;}" + "".join(f"gate g{i} a{{g{i - 1} a;}}" for i in range(1, 5000))


def arrive(source: object) -> QuantumCircuit:
    """A source on its way through JSON, as the worker sees it."""
    record = json.loads(json.dumps(Program.from_any(source).to_json()))
    return Program.from_json(record).load().build()


@pytest.mark.parametrize("seed", range(10))
def test_a_qiskit_circuit_arrives_with_the_same_unitary(seed: int) -> None:
    circuit = random_circuit(4, 6, max_operands=4, seed=seed)
    arrived = arrive(circuit)
    assert arrived.num_clbits == 4  # measured on every qubit, since it had no measurement
    arrived.remove_final_measurements()
    assert Operator(arrived).equiv(Operator(circuit), atol=1e-7)


@pytest.mark.parametrize("name", ["qft", "ansatz", "permutation"])
def test_library_objects_arrive(name: str) -> None:
    circuit = QuantumCircuit(3)
    if name == "qft":
        circuit.append(QFTGate(3), range(3))
    elif name == "ansatz":
        circuit = efficient_su2(3).assign_parameters(np.linspace(0, 1, 24))
    else:
        circuit.append(PermutationGate([2, 0, 1]), range(3))  # an array parameter crashes the exporter
    arrived = arrive(circuit)
    arrived.remove_final_measurements()
    assert Operator(arrived).equiv(Operator(circuit), atol=1e-7)


def test_special_instructions_arrive() -> None:
    circuit = QuantumCircuit(3, 3)
    circuit.initialize([0, 1, 0, 0], [0, 1])
    circuit.unitary(np.array([[0, 1], [1, 0]]), 2)
    circuit.delay(100, 0)
    circuit.mcx([0, 1], 2)
    circuit.measure(range(3), range(3))
    assert ideal_distribution(arrive(circuit)) == pytest.approx({"101": 1.0})


def test_several_registers_become_one_bit_string() -> None:
    circuit = QuantumCircuit(QuantumRegister(1, "alice"), QuantumRegister(1, "bob"))
    circuit.add_register(ClassicalRegister(1, "first"), ClassicalRegister(2, "second"))
    circuit.x(0)
    circuit.measure(0, 2)
    circuit.measure(1, 0)
    assert ideal_distribution(arrive(circuit)) == pytest.approx({"100": 1.0})


def test_dynamic_circuits_travel_as_openqasm3() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], True)):
        circuit.x(1)
    circuit.measure(1, 1)
    program = Program.from_any(circuit)
    assert program.language == "openqasm3"
    assert "if_else" in program.load().build().count_ops()


def test_a_for_loop_arrives_with_its_turns() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(-3, 9, 2)):
        circuit.x(0)
    circuit.measure(0, 0)
    assert features(arrive(circuit)).num_gates == 6
    assert features(arrive(HEAD3 + "qubit q; for int i in {1, 2, 5} { rx(i * pi) q; }")).num_gates == 3


def test_dynamic_circuits_that_cannot_be_read_back_are_refused_at_once() -> None:
    circuit = QuantumCircuit(1, 2)
    with circuit.switch(circuit.cregs[0]) as case, case(0):
        circuit.x(0)
    with pytest.raises(InvalidProgram, match="int"):
        Program.from_any(circuit)


def test_nested_definitions_within_the_limit_are_admitted() -> None:
    text = HEAD2 + NESTED2.partition("gate g17")[0] + "qreg q[1]; creg c[1]; g16 q[0]; measure q -> c;"
    assert features(arrive(text)).num_gates == 2**17


def test_the_header_tells_the_language(tmp_path: Path) -> None:
    path = tmp_path / "bell.qasm"
    path.write_text("\ufeff// a comment\n/* and another */ " + BELL3, encoding="utf-8")
    assert Program.from_any(BELL).language == "openqasm2"
    assert Program.from_any(path).language == "openqasm3"
    for source in (BELL, BELL3, path):
        assert ideal_distribution(arrive(source)) == pytest.approx({"00": 0.5, "11": 0.5})


def test_a_family_travels_by_name() -> None:
    program = Program.from_any(Steane(rounds=2))
    assert (program.language, program.family, program.text) == ("family", "steane", "")
    assert program.load() == Steane(rounds=2)
    with pytest.raises(UnknownCircuit):
        Program("family", family="nothing").load()


def test_the_hash_is_of_the_content_alone() -> None:
    one, other = QuantumCircuit(2, name="one"), QuantumCircuit(2, name="other")
    one.h(0)
    other.h(0)
    assert Program.from_any(one).content_hash() == Program.from_any(other).content_hash()
    other.h(1)
    assert Program.from_any(one).content_hash() != Program.from_any(other).content_hash()
    assert Program.from_any(Steane()).content_hash() == Program.from_any(Steane(rounds=1)).content_hash()


def test_a_user_circuit_has_no_score() -> None:
    family = Program.from_any(BELL).load()
    assert isinstance(family, UserCircuit)
    assert not is_scored(family)
    assert is_scored(Steane())
    with pytest.raises(CircuitError, match="no score"):
        family.score({"00": 1})


def test_wide_registers_count_by_active_qubits() -> None:
    built = arrive(HEAD2 + "qreg q[200]; creg c[1]; x q[150]; measure q[150] -> c[0];")
    assert ideal_distribution(built) == pytest.approx({"1": 1.0})
    with pytest.raises(InvalidProgram, match="active qubits"):
        arrive(HEAD2 + "qreg q[200]; creg c[200]; measure q -> c;")


def test_free_parameters_are_refused() -> None:
    circuit = QuantumCircuit(1)
    circuit.rz(Parameter("theta"), 0)
    with pytest.raises(InvalidProgram, match=r"theta.*assign_parameters"):
        Program.from_any(circuit)
    with pytest.raises(InvalidProgram, match="free parameters"):
        Program.from_any(real_amplitudes(2))


@pytest.mark.parametrize(
    "source", [None, 3, b"OPENQASM 2.0;", [BELL], Steane, QuantumCircuit, object(), QuantumCircuit()]
)
def test_other_things_are_refused(source: object) -> None:
    with pytest.raises(InvalidProgram, match="wanted"):
        Program.from_any(source)


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"language": 3},
        {"language": "qpy"},
        {"language": "family"},
        {"language": "openqasm2", "code": ""},
        {"language": "openqasm2", "text": 7},
        {"language": "openqasm2", "text": BELL, "family": "steane"},
        {"language": "family", "family": "steane", "parameters": 4},
        {"language": "family", "family": "steane", "parameters": {"rounds": "2"}},
    ],
)
def test_bad_records_are_refused(record: object) -> None:
    with pytest.raises(CircuitError):
        Program.from_json(record).load()


def test_files_that_are_no_programs_are_refused(tmp_path: Path) -> None:
    binary, huge = tmp_path / "binary.qasm", tmp_path / "huge.qasm"
    binary.write_bytes(b"OPENQASM 2.0;\n\xff\xfe")
    huge.write_bytes(BELL.encode() + b" " * 2_000_000)
    for path, cause in ((binary, "UTF-8"), (huge, "bytes"), (tmp_path, "no regular file"), (tmp_path / "a\0b", "file")):
        with pytest.raises(InvalidProgram, match=cause):
            Program.from_any(path)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "header"),
        ("hello", "header"),
        ("OPENQASM 4.0;", "version"),
        ("OPENQASM 2.0;", "at least one qubit"),
        (HEAD2 + "qreg q[1000000000];", "declared qubits"),
        (HEAD2 + "qreg q[1" + "0" * 5000 + "];", "declared qubits"),
        (HEAD2 + "qreg q[1]; creg c[1000000000];", "classical bits"),
        (HEAD3 + "qubit[1000000000] q;", "declared qubits"),
        (HEAD3 + "qreg q[1000000000];", "declared qubits"),
        (HEAD3 + "qubit[1000*1000*1000] q;", "declared qubits"),
        (HEAD3 + "qubit q; bit[1000*1000*1000] c;", "classical bits"),
        (HEAD3 + "const int n = 1000000000; qubit[n] q;", "declared qubits"),
        (HEAD3 + "const int n = 9223372036854775807; qubit[n * n] q;", "plain integer"),
        (HEAD3 + "x $1000000000;", "physical"),
        (HEAD3 + "qubit q; array[int[32], 1000000000] a; x q;", "array"),
        (HEAD3 + "qubit q; for int i in [0:1000000000] { x q; }", "gates"),
        (HEAD3 + "qubit q; for int i in [0:9999] { for int j in [0:9999] { x q; } }", "gates"),
        (HEAD3 + "qubit q; for int i in [0:0:10] { x q; }", "step"),
        (HEAD3 + "qubit[2] q; ctrl(1000000000) @ x q[0], q[1];", "controls"),
        (HEAD3 + "qubit[2] q;" + "ctrl @ " * 40 + "x q[0], q[1];", "controls"),
        (HEAD3 + "qubit q; rx(1e999) q;", "finite"),
        (HEAD3 + "qubit q; rx(1/0) q;", "zero"),
        (HEAD3 + "input float a; qubit q; rx(a) q;", "inputs"),
        (HEAD3 + "qubit q;" + NESTED3 + "g44(1.0) q;", "gates"),
        (HEAD3 + "qubit q; if (true) {" * 300, "nested"),
        (HEAD3 + "qubit q; bit c; if (popcount(c) == 1) { x q; }", "FunctionCall"),
        (HEAD2 + NESTED2 + "qreg q[1]; g44 q[0];", "gates"),
        (HEAD2 + "qreg q[1];" + "gate a " * 40_000, "cannot be read"),
        (HEAD3 + "qubit[0x3B9ACA00] q;", "declared qubits"),
        (HEAD3 + "qubit[1_000_000_000] q;", "declared qubits"),
        (HEAD3 + "".join(f"qubit q{i};" for i in range(2000)), "declared qubits"),
        (HEAD2 + CHAIN2 + "qreg q[1]; g4999 q[0];", "nested gate definitions"),
        (HEAD2 + "qreg q[1000];" + "x q;" * 1000, "gates"),
        (HEAD2 + "qreg q[1]; rz(" + "-" * 100_000 + "1) q[0];", "operators"),
        (HEAD2 + "qreg q[1]; rz(" + "(" * 100_000 + "1) q[0];", "brackets"),
        (HEAD2 + "qreg q[1]; rz(1/0) q[0];", "zero"),
        (HEAD2 + "gate g(a) b { rz(ln(a)) b; } qreg q[1]; g(-1) q[0];", "cannot be read"),
        (HEAD2 + "qreg q[1]; rz(10^400) q[0];", "finite|cannot be read"),
        (HEAD2 + "qreg q[1]; x q[3];", ">:3,13|index 3"),
        (HEAD2 + "qreg q[1]; x r[0];", "not defined"),
        ("OPENQASM 2.0; gate h a { U(pi,0,pi) a; } qreg q[1]; h q[0];", "another name"),
        ("OPENQASM 3.0; gate h a { U(pi,0,pi) a; } qubit q; h q;", "another name"),
        (HEAD2 + "gate rzx(t) a,b { x a; } qreg q[2]; rzx(1) q[0],q[1];", "another name"),
        (BELL + "\0", "binary"),
        (BELL[:-3], "end-of-file"),
        (BELL + "\udcff", "Unicode"),
        ('OPENQASM 2.0; include "/etc/passwd";', "refused"),
        ("OPENQASM 2.0; include '../../secret.inc';", "refused"),
        ('OPENQASM 3.0; include\n"/etc/passwd";', "refused"),
        (BELL + " " * 1_000_001, "bytes"),
    ],
)
def test_hostile_text_is_refused_with_its_cause(text: str, cause: str) -> None:
    with pytest.raises(InvalidProgram, match=cause):
        Program.from_any(text).load()


def test_limits_can_be_raised() -> None:
    text = HEAD2 + "qreg q[100]; creg c[100]; measure q -> c;"
    assert Program.from_any(text).load(Limits(max_qubits=100)).build().num_qubits == 100


def survives(text: str) -> None:
    """Either a circuit or InvalidProgram, nothing else."""
    try:
        Program.from_any(text).load().build()
    except InvalidProgram:
        return


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_random_text_never_crashes(text: str) -> None:
    survives(text)
    survives(HEAD2 + text)


TOKENS = (
    "qreg q[3];", "creg c[3];", "qubit[3]", "bit[3]", "qubit", "bit", "c", "q", "q[0]", "q[1]", "c[0]", "measure",
    "->", "=", ";", ";", ";", ",", "(", ")", "{", "}", "[", "]", "h", "x", "cx", "rz", "u", "barrier", "reset",
    "gate", "opaque", "if", "else", "while", "for", "in", "int", "0", "1", "2", "-1", "1e400", "pi", "sin", "ln", "/",
    "*", "^", "-", "+", "==", "true", "g", "a", "@", "ctrl", "inv", "pow", "$0", "$7", "let", "def", "0:2",
)  # fmt: skip
words = st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join)


@settings(max_examples=500, deadline=None)
@given(words)
def test_random_openqasm2_words_never_crash(text: str) -> None:
    survives(HEAD2 + "qreg q[3]; creg c[3];" + text)


@settings(max_examples=300, deadline=None)
@given(words)
def test_random_openqasm3_words_never_crash(text: str) -> None:
    survives(HEAD3 + "qubit[3] q; bit[3] c;" + text)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([BELL, BELL3]), st.integers(0, 140), st.integers(0, 12), st.text(max_size=6))
def test_mutated_programs_never_crash(text: str, position: int, removed: int, inserted: str) -> None:
    survives(text[:position] + inserted + text[position + removed :])
