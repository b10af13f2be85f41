"""Reading OpenQASM 3: parse to a syntax tree, bound what it would cost to convert, then convert.

The converter is ``qiskit_qasm3_import``, which Qiskit's own ``qasm3.loads`` uses too. It understands the part of the
language that Qiskit can express; the rest is refused in its words. What is bounded here first: registers, expanded
gate count (definitions, broadcasts, loops), and gate modifiers, whose synthesis is exponential in the number of qubits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import openqasm3
from openqasm3 import ast
from qiskit import QuantumCircuit
from qiskit_qasm3_import import convert

from circuits.errors import InvalidProgram
from circuits.openqasm3_folding import fold

if TYPE_CHECKING:
    from circuits.program import Limits

MAX_CONTROLS = 8
"""Most control qubits that modifiers may add to one gate."""

MAX_POWER_QUBITS = 3
"""Most qubits of a gate under ``pow``, which works on its matrix."""

EXPANSION_COST = 20
"""How much more an expanded gate costs in the OpenQASM 3 converter than a plain one, roughly (measured)."""

TURN_COST = 10
"""What writing out one turn of a for loop costs next to a plain gate, roughly (measured)."""


def parse(text: str, limits: Limits) -> QuantumCircuit:
    """Text that ``openqasm.check_text`` let pass, as a circuit. Other errors of the converter pass through.

    Raises:
        InvalidProgram: the text is malformed, or converting it would exceed a limit.
    """
    try:
        tree = openqasm3.parse(text)
    except openqasm3.parser.QASM3ParsingError as error:
        raise InvalidProgram(_syntax_error(error)) from error
    tree = fold(tree, limits.max_gates // EXPANSION_COST)
    _Survey(limits).block(tree.statements, 1)
    circuit: QuantumCircuit = convert(tree)
    return _without_loop_variables(circuit) if circuit.num_parameters else circuit


def _without_loop_variables(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit without free parameters and global phase.

    Inputs were refused, so what is free is loop variables: to each of them the converter leaves a reference of weight
    zero in the global phase, as if the whole circuit depended on it.
    """
    bare = QuantumCircuit(circuit.qubits, circuit.clbits, *circuit.qregs, *circuit.cregs)
    for item in circuit.data:
        bare._append(item)
    return bare


def _syntax_error(error: Exception) -> str:
    """The parser's words, or the place of the first word that it could not take."""
    details = getattr(error.__cause__, "args", ())
    mark = getattr(details[0], "offendingToken", None) if details else None
    if mark is None:
        return f"the text is not OpenQASM 3: {str(error)[:300] or 'syntax error'}"
    return (
        f"line {mark.line}, column {mark.column}: {mark.text[:40]!r} is not expected here; check the statement before"
    )


class _Survey:
    """Walks a program and adds up what it would become."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.sizes: dict[str, int] = {}  # of each register of qubits
        self.num_qubits = 0
        self.gates: dict[str, tuple[int, int]] = {}  # name -> (expanded gates, nesting level)
        self.total = 0
        self.expanded = 0

    def block(self, statements: Iterable[Any], times: int) -> None:
        for statement in statements:
            self.statement(statement, times)

    def statement(self, node: Any, times: int) -> None:
        """Add what one statement becomes when it runs ``times`` times. Others cost nothing or are not convertible."""
        match node:
            case ast.QubitDeclaration():
                self._declare_qubits(node)
            case ast.ClassicalDeclaration():
                self._declare_bits(node, times)
            case ast.QuantumGateDefinition():
                self._define_gate(node)
            case ast.IODeclaration():
                raise _at(node, "wanted a program without inputs and outputs; write their values into the text")
            case ast.QuantumGate():
                self._check_modifiers(node)
                self._call(node, times)
            case ast.QuantumPhase():
                self._check_modifiers(node)
                self._add(times, node)
            case ast.QuantumMeasurementStatement():
                self._add(self._spread([node.measure.qubit]) * times, node)
            case ast.QuantumReset():
                self._add(self._spread([node.qubits]) * times, node)
            case ast.ForInLoop():
                turns = self._turns(node)
                self._add(TURN_COST * turns * times, node)
                self.block(node.block, times * turns)
            case ast.WhileLoop(block=body) | ast.Box(body=body):
                self.block(body, times)
            case ast.BranchingStatement():
                self.block([*node.if_block, *node.else_block], times)

    def _declare_qubits(self, node: Any) -> None:
        self.sizes[node.qubit.name] = 1 if node.size is None else self._literal(node.size, node, "a register size")
        self.num_qubits += self.sizes[node.qubit.name]
        if self.num_qubits > self.limits.max_width:
            raise _at(node, f"wanted at most {self.limits.max_width} declared qubits, got {self.num_qubits}")

    def _declare_bits(self, node: Any, times: int) -> None:
        size = getattr(node.type, "size", None)
        if size is not None:
            value = self._literal(size, node, "a register size")
            if value > self.limits.max_clbits:
                raise _at(node, f"wanted at most {self.limits.max_clbits} classical bits, got {value}")
        if node.init_expression is not None:
            self._add(self._spread([getattr(node.init_expression, "qubit", None)]) * times, node)

    def _define_gate(self, node: Any) -> None:
        inner = [item for item in node.body if hasattr(item, "modifiers")]
        for item in inner:
            self._check_modifiers(item)
            if _gate_name(item) == node.name.name:  # Qiskit's exporter writes this of wide controlled phases
                raise _at(item, f"gate {node.name.name!r} is made of itself; decompose it before it is exported")
        known = [self.gates.get(_gate_name(item), (1, 0)) for item in inner]
        level = 1 + max((depth for _, depth in known), default=0)
        if level > self.limits.max_nesting:
            raise _at(node, f"wanted at most {self.limits.max_nesting} nested gate definitions, got {level}")
        self.gates[node.name.name] = (sum(count for count, _ in known), level)

    def _turns(self, node: Any) -> int:
        """How often the body of a for loop runs."""
        span = node.set_declaration
        match span:
            case ast.DiscreteSet():
                return len(span.values)
            case ast.RangeDefinition():
                first, last = (self._literal(each, node, "the bounds of a for loop") for each in (span.start, span.end))
                step = 1 if span.step is None else self._literal(span.step, node, "the step of a for loop")
                if step == 0:
                    raise _at(node, "the step of a for loop must not be 0")
                return max(0, (last - first) // step + 1)
        raise _at(node, "wanted a range or a set of integers in a for loop; write its values out")

    def _call(self, node: Any, times: int) -> None:
        """A gate. The converter copies the whole definition at every call in the text, a millisecond for each gate."""
        gates = self.gates.get(_gate_name(node), (1, 0))[0]
        self.expanded += gates * self._spread(node.qubits) if gates > 1 else 0
        if self.expanded > self.limits.max_gates // EXPANSION_COST:
            limit = self.limits.max_gates // EXPANSION_COST
            raise _at(
                node, f"wanted at most {limit} gates from expanded definitions, got {self.expanded}; use OpenQASM 2"
            )
        self._add(gates * self._spread(node.qubits) * times, node)

    def _add(self, count: int, node: Any) -> None:
        self.total += count
        if self.total > self.limits.max_gates:
            raise _at(node, f"wanted at most {self.limits.max_gates} gates after expansion, got at least {self.total}")

    def _spread(self, operands: Iterable[Any]) -> int:
        """How many gates a broadcast makes; an operand this survey does not know may be as wide as all registers."""
        widest = 1
        for operand in operands:
            name, indices = getattr(operand, "name", None), getattr(operand, "indices", None)
            if indices is not None:
                name = getattr(name, "name", None)
                flat = indices[0] if len(indices) == 1 and isinstance(indices[0], list) else ()
                if len(flat) == 1 and not hasattr(flat[0], "start"):
                    continue
            widest = max(widest, self.sizes.get(str(name), self.num_qubits))
        return widest

    def _check_modifiers(self, node: Any) -> None:
        controls = powers = 0
        for modifier in node.modifiers:
            kind = modifier.modifier.name
            if kind in ("ctrl", "negctrl"):
                given = modifier.argument
                number = 1 if given is None else self._literal(given, node, "the argument of ctrl")
                if number < 1:
                    raise _at(node, f"wanted at least 1 control, got {number}")
                controls += number
            powers += kind == "pow"
        if controls > MAX_CONTROLS:
            raise _at(node, f"wanted at most {MAX_CONTROLS} controls on one gate, got {controls}")
        if powers > 4 or (powers and len(node.qubits) > MAX_POWER_QUBITS):
            raise _at(node, f"pow is limited to 4 times on at most {MAX_POWER_QUBITS} qubits; write the gate out")

    def _literal(self, node: Any, statement: Any, what: str) -> int:
        """The value of an integer literal, perhaps with a sign."""
        sign = 1
        if type(node).__name__ == "UnaryExpression" and node.op.name == "-":
            sign, node = -1, node.expression
        if type(node).__name__ != "IntegerLiteral":
            raise _at(statement, f"wanted a plain integer as {what}; write its value out")
        return sign * int(node.value)


def _gate_name(node: Any) -> str:
    return str(node.name.name) if hasattr(node, "name") else "gphase"


def _at(node: Any, message: str) -> InvalidProgram:
    span = getattr(node, "span", None)
    where = "" if span is None else f"line {span.start_line}: "
    return InvalidProgram(f"{where}{message}")
