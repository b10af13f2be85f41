"""Reading OpenQASM 3: parse to a syntax tree, bound what it would cost to convert, then convert.

The converter is ``qiskit_qasm3_import``, which Qiskit's own ``qasm3.loads`` uses too. It understands the part of the
language that Qiskit can express; the rest is refused in its words. What is bounded here first: registers, expanded
gate count (definitions, broadcasts, loops), and gate modifiers, whose synthesis is exponential in the number of qubits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from circuits.errors import InvalidProgram

if TYPE_CHECKING:
    from circuits.program import Limits
    from qiskit import QuantumCircuit

MAX_CONTROLS = 8
"""Most control qubits that modifiers may add to one gate."""

MAX_POWER_QUBITS = 3
"""Most qubits of a gate under ``pow``, which works on its matrix."""


def parse(text: str, limits: Limits) -> QuantumCircuit:
    """Text that ``openqasm.check_text`` let pass, as a circuit. Parser errors pass through.

    Raises:
        InvalidProgram: converting it would exceed a limit.
    """
    import openqasm3
    from qiskit_qasm3_import import convert

    tree = openqasm3.parse(text)
    _Survey(limits).block(tree.statements, 1)
    return convert(tree)


class _Survey:
    """Walks a program and adds up what it would become."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.sizes: dict[str, int] = {}
        self.gates: dict[str, tuple[int, int]] = {}  # name -> (expanded gates, nesting level)
        self.total = 0

    def block(self, statements: Iterable[Any], times: int) -> None:
        for statement in statements:
            handler = getattr(self, type(statement).__name__, None)
            if handler is not None:
                handler(statement, times)

    def QubitDeclaration(self, node: Any, times: int) -> None:
        self.sizes[node.qubit.name] = 1 if node.size is None else self._literal(node.size, node, "a register size")
        if sum(self.sizes.values()) > self.limits.max_width + self.limits.max_clbits:
            raise _at(node, f"wanted at most {self.limits.max_width} qubits, got {sum(self.sizes.values())}")

    def ClassicalDeclaration(self, node: Any, times: int) -> None:
        size = getattr(node.type, "size", None)
        if size is not None:
            value = self._literal(size, node, "a register size")
            if value > self.limits.max_clbits:
                raise _at(node, f"wanted at most {self.limits.max_clbits} classical bits, got {value}")
        if node.init_expression is not None:
            self._add(self._spread([getattr(node.init_expression, "qubit", None)]) * times, node)

    def QuantumGateDefinition(self, node: Any, times: int) -> None:
        inner = [item for item in node.body if hasattr(item, "modifiers")]
        for item in inner:
            self._check_modifiers(item)
        known = [self.gates.get(_gate_name(item), (1, 0)) for item in inner]
        level = 1 + max((depth for _, depth in known), default=0)
        if level > self.limits.max_nesting:
            raise _at(node, f"wanted at most {self.limits.max_nesting} nested gate definitions, got {level}")
        self.gates[node.name.name] = (sum(count for count, _ in known), level)

    def QuantumGate(self, node: Any, times: int) -> None:
        self._check_modifiers(node)
        self._add(self.gates.get(_gate_name(node), (1, 0))[0] * self._spread(node.qubits) * times, node)

    def QuantumPhase(self, node: Any, times: int) -> None:
        self._check_modifiers(node)

    def QuantumMeasurementStatement(self, node: Any, times: int) -> None:
        self._add(self._spread([node.measure.qubit]) * times, node)

    def QuantumReset(self, node: Any, times: int) -> None:
        self._add(self._spread([node.qubits]) * times, node)

    def ForInLoop(self, node: Any, times: int) -> None:
        span = node.set_declaration
        if hasattr(span, "values"):
            turns = len(span.values)
        elif hasattr(span, "start"):
            first, last = (self._literal(each, node, "the bounds of a for loop") for each in (span.start, span.end))
            step = 1 if span.step is None else self._literal(span.step, node, "the step of a for loop")
            if step == 0:
                raise _at(node, "the step of a for loop must not be 0")
            turns = max(0, (last - first) // step + 1)
        else:
            raise _at(node, "wanted a range or a set of integers in a for loop; write its values out")
        self._add(turns * times, node)  # even an empty body costs its turns
        self.block(node.block, times * turns)

    def WhileLoop(self, node: Any, times: int) -> None:
        self.block(node.block, times)

    def BranchingStatement(self, node: Any, times: int) -> None:
        self.block(node.if_block, times)
        self.block(node.else_block, times)

    def Box(self, node: Any, times: int) -> None:
        self.block(node.body, times)

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
            widest = max(widest, self.sizes.get(str(name), sum(self.sizes.values())))
        return widest

    def _check_modifiers(self, node: Any) -> None:
        controls = powers = 0
        for modifier in node.modifiers:
            kind = modifier.modifier.name
            if kind in ("ctrl", "negctrl"):
                controls += 1 if modifier.argument is None else self._literal(modifier.argument, node, "ctrl's argument")
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
