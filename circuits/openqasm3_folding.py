"""Constants and loops of OpenQASM 3 that its converter does not follow, written out in the syntax tree.

The converter takes plain integers alone as sizes and indices, and compares single bits with true and false alone. So
integer constants are replaced by their values, sums and products of integers are computed, ``bit == 1`` becomes
``bit == true``, other conditions are taken apart (``openqasm3_conditions``), and a for loop that uses its variable is
written out turn by turn, unless it breaks.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openqasm3 import ast

from circuits.errors import InvalidProgram
from circuits.openqasm3_conditions import bits_read, decided

_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_LARGEST = 2**63
"""Larger integers stay expressions, which the converter refuses."""

_Values = Mapping[str, int]


def fold(tree: ast.Program, max_statements: int) -> ast.Program:
    """The tree with integer constants and loops written out.

    Args:
        tree: as parsed; parts of it are shared with the result.
        max_statements: most statements that loops may be written out to.

    Raises:
        InvalidProgram: there would be more.
    """
    folded: ast.Program = _Folder(max_statements).fold(tree, {})
    return folded


class _Folder:
    def __init__(self, max_statements: int) -> None:
        self.max_statements = max_statements
        self.num_statements = 0
        self.sizes: dict[str, int | None] = {}  # of registers of bits; None for a single bit

    def fold(self, node: Any, values: _Values) -> Any:
        """A node with what is known put in; a list of statements where one became several or none."""
        match node:
            case list():
                return self._sequence(node, dict(values))
            case ast.Identifier():
                return ast.IntegerLiteral(values[node.name]) if node.name in values else node
            case ast.QuantumGateDefinition():
                own = {name.name for name in (*node.arguments, *node.qubits)}
                inside = {name: value for name, value in values.items() if name not in own}
                return _changed(node, body=self.fold(node.body, inside))
            case ast.QuantumGate():
                fields = ("modifiers", "arguments", "qubits")
                return _changed(node, **{name: self.fold(getattr(node, name), values) for name in fields})
            case ast.BinaryExpression() | ast.UnaryExpression():
                return self._bit_compared(_computed(self._parts(node, values)))
            case ast.ClassicalDeclaration(type=ast.BitType()):
                return self._declaration(self._parts(node, values))
            case ast.QASMNode():
                return self._parts(node, values)
        return node

    def _bit_compared(self, node: Any) -> Any:
        """``bit == 1`` as ``bit == true``: the converter compares registers alone with integers."""
        if not isinstance(node, ast.BinaryExpression) or node.op.name not in ("==", "!="):
            return node
        bit, value = node.lhs, node.rhs
        single = isinstance(bit, ast.IndexExpression) or (
            isinstance(bit, ast.Identifier) and self.sizes.get(bit.name, 0) is None
        )
        if single and isinstance(value, ast.IntegerLiteral) and value.value in (0, 1):
            return _changed(node, rhs=ast.BooleanLiteral(bool(value.value)))
        return node

    def _declaration(self, node: Any) -> Any:
        size = node.type.size
        if size is None or isinstance(size, ast.IntegerLiteral):
            self.sizes[node.identifier.name] = None if size is None else size.value
        return node

    def _parts(self, node: Any, values: _Values) -> Any:
        return _changed(
            node, **{name: self.fold(value, values) for name, value in vars(node).items() if name != "span"}
        )

    def _sequence(self, nodes: Sequence[Any], values: dict[str, int]) -> list[Any]:
        """Statements one after the other, each in sight of the constants before it; other lists likewise."""
        folded: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.ConstantDeclaration):
                node = _changed(node, init_expression=self.fold(node.init_expression, values))
                value = node.init_expression
                if isinstance(node.type, ast.IntType | ast.UintType) and isinstance(value, ast.IntegerLiteral):
                    values[node.identifier.name] = value.value
                    continue
                folded.append(node)
            elif isinstance(node, ast.ForInLoop):
                folded += self._loop(node, values)
            elif isinstance(node, ast.BranchingStatement):
                folded += self._branch(self._parts(node, values))
            else:
                folded.append(self.fold(node, values))
        return folded

    def _loop(self, node: Any, values: _Values) -> list[Any]:
        """The turns of a for loop, or the loop."""
        name = node.identifier.name
        span = self.fold(node.set_declaration, values)
        turns = _turns(span)
        body = list(_walk(node.block))
        breaks = any(isinstance(part, ast.BreakStatement | ast.ContinueStatement) for part in body)
        used = any(isinstance(part, ast.Identifier) and part.name == name for part in body)
        if turns is None or breaks or not used:
            inside = {other: value for other, value in values.items() if other != name}
            return [_changed(node, set_declaration=span, block=self.fold(node.block, inside))]
        written: list[Any] = []
        for value in turns:
            self._spend(1 + len(node.block), node)
            written += self.fold(node.block, {**values, name: value})
        return written

    def _branch(self, node: Any) -> list[Any]:
        """A branch as it is, or as branches on single bits."""
        bits = bits_read(node.condition, self.sizes)
        if not bits:
            return [node]
        self._spend(2 ** len(bits) * (1 + len(node.if_block) + len(node.else_block)), node)
        return decided(node, bits, self.sizes)

    def _spend(self, number: int, node: Any) -> None:
        self.num_statements += number
        if self.num_statements > self.max_statements:
            raise InvalidProgram(
                f"line {node.span.start_line}: wanted at most {self.max_statements} statements from loops over indices"
                " and conditions written out; use fewer turns"
            )


def _changed(node: Any, **fields: Any) -> Any:
    new = copy.copy(node)
    vars(new).update(fields)
    return new


def _computed(node: Any) -> Any:
    """An expression of integers as its value, where that is exact and small."""
    sides = [node.expression] if isinstance(node, ast.UnaryExpression) else [node.lhs, node.rhs]
    numbers, name = _integers(sides), node.op.name
    value: int | None = None
    if numbers is None:
        return node
    if len(numbers) == 1 and name == "-":
        value = -numbers[0]
    elif len(numbers) == 2 and name in _ARITHMETIC:
        value = _ARITHMETIC[name](*numbers)
    elif len(numbers) == 2 and name == "/" and numbers[1] and numbers[0] % numbers[1] == 0:
        value = numbers[0] // numbers[1]
    return node if value is None or abs(value) >= _LARGEST else ast.IntegerLiteral(value)


def _turns(span: Any) -> Sequence[int] | None:
    """Values of a loop's variable; None if they are not all known, or there is an error for others to name."""
    if isinstance(span, ast.DiscreteSet):
        return _integers(span.values)
    if not isinstance(span, ast.RangeDefinition):
        return None
    numbers = _integers([span.start, span.end, ast.IntegerLiteral(1) if span.step is None else span.step])
    if numbers is None or numbers[2] == 0:
        return None
    start, end, step = numbers
    return range(start, end + (1 if step > 0 else -1), step)


def _integers(nodes: Sequence[Any]) -> list[int] | None:
    """Values of integer literals; None if one is something else."""
    return [node.value for node in nodes] if all(isinstance(node, ast.IntegerLiteral) for node in nodes) else None


def _walk(node: Any) -> Iterator[Any]:
    """A node and everything below it."""
    if isinstance(node, list):
        for part in node:
            yield from _walk(part)
    elif isinstance(node, ast.QASMNode):
        yield node
        for part in vars(node).values():
            yield from _walk(part)
