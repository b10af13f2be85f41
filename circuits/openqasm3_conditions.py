"""Conditions of OpenQASM 3 that its converter does not know, written as a tree of conditions on single bits.

The converter compares a bit with a truth value or a register with an integer, nothing else. Any other arithmetic over
measured bits (``^``, ``&&``, ``>``, casts to integers) is evaluated here for every value of the bits that it reads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from openqasm3 import ast

from circuits.errors import InvalidProgram

MAX_CONDITION_BITS = 8
"""Most bits that one condition may read: its truth table is written out."""

Bit = tuple[str, int | None]
"""Register and index; None for a bit that is in no register."""

_BINARY: Mapping[str, Callable[[int, int], int]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
    "^": operator.xor, "&": operator.and_, "|": operator.or_, "+": operator.add, "-": operator.sub, "*": operator.mul,
    "&&": lambda one, other: bool(one) and bool(other), "||": lambda one, other: bool(one) or bool(other),
}  # fmt: skip


class _UnknownError(Exception):
    """The condition holds something else; the converter will say what it thinks of that."""


def bits_read(condition: Any, sizes: Mapping[str, int | None]) -> list[Bit]:
    """Bits that a condition reads, each once; none if the converter knows it, or if nothing here does.

    Args:
        condition: of a branch.
        sizes: of every register of bits; None for a single bit.

    Raises:
        InvalidProgram: more than ``MAX_CONDITION_BITS``.
    """
    if _is_plain(condition):
        return []
    try:
        bits = list(dict.fromkeys(_bits(condition, sizes)))
        _value(condition, dict.fromkeys(bits, 0), sizes)
    except _UnknownError:
        return []
    if len(bits) > MAX_CONDITION_BITS:
        raise InvalidProgram(
            f"wanted arithmetic in a condition over at most {MAX_CONDITION_BITS} bits, got {len(bits)}; split it"
        )
    return bits


def decided(node: ast.BranchingStatement, bits: Sequence[Bit], sizes: Mapping[str, int | None]) -> list[Any]:
    """What a branch does, asking for one bit at a time."""
    return _tree(node, bits, {}, sizes)


def _tree(
    node: ast.BranchingStatement, bits: Sequence[Bit], known: Mapping[Bit, int], sizes: Mapping[str, int | None]
) -> list[Any]:
    """What is done once some bits are known."""
    if not bits:
        return list(node.if_block if _value(node.condition, known, sizes) else node.else_block)
    bit, rest = bits[0], bits[1:]
    one, other = (_tree(node, rest, {**known, bit: value}, sizes) for value in (1, 0))
    if one == other:
        return one
    return [ast.BranchingStatement(_is_set(bit), one, other)]


def _is_set(bit: Bit) -> Any:
    name, index = ast.Identifier(bit[0]), bit[1]
    operand = name if index is None else ast.IndexExpression(name, [ast.IntegerLiteral(index)])
    return ast.BinaryExpression(ast.BinaryOperator["=="], operand, ast.BooleanLiteral(True))


def _is_plain(node: Any) -> bool:
    if isinstance(node, ast.UnaryExpression):
        return node.op.name == "!" and _is_operand(node.expression)
    if isinstance(node, ast.BinaryExpression):
        literal = ast.BooleanLiteral | ast.IntegerLiteral | ast.BitstringLiteral
        return node.op.name == "==" and _is_operand(node.lhs) and isinstance(node.rhs, literal)
    return _is_operand(node)


def _is_operand(node: Any) -> bool:
    return isinstance(node, ast.Identifier | ast.IndexExpression)


def _bits(node: Any, sizes: Mapping[str, int | None]) -> Iterator[Bit]:
    """Bits that an expression reads, lowest first."""
    match node:
        case ast.Identifier() if node.name in sizes:
            size = sizes[node.name]
            yield from [(node.name, None)] if size is None else [(node.name, index) for index in range(size)]
        case ast.IndexExpression(collection=ast.Identifier(name=name), index=[ast.IntegerLiteral(value=value)]):
            size = sizes.get(name)
            if size is None or not -size <= value < size:
                raise _UnknownError
            yield name, value % size
        case ast.BinaryExpression():
            yield from _bits(node.lhs, sizes)
            yield from _bits(node.rhs, sizes)
        case ast.UnaryExpression():
            yield from _bits(node.expression, sizes)
        case ast.Cast():
            yield from _bits(node.argument, sizes)
        case ast.IntegerLiteral() | ast.BooleanLiteral() | ast.BitstringLiteral():
            return
        case _:
            raise _UnknownError


def _value(node: Any, known: Mapping[Bit, int], sizes: Mapping[str, int | None]) -> int:
    """Value of an expression whose bits are known; truth is 1 or 0."""
    match node:
        case ast.IntegerLiteral() | ast.BooleanLiteral() | ast.BitstringLiteral():
            return int(node.value)
        case ast.Identifier() | ast.IndexExpression():
            return sum(known[bit] << place for place, bit in enumerate(_bits(node, sizes)))
        case ast.UnaryExpression() if node.op.name == "!":
            return int(not _value(node.expression, known, sizes))
        case ast.UnaryExpression() if node.op.name == "~" and _is_operand(node.expression):
            width = len(list(_bits(node.expression, sizes)))
            return _value(node.expression, known, sizes) ^ ((1 << width) - 1)
        case ast.UnaryExpression() if node.op.name == "-":
            return -_value(node.expression, known, sizes)
        case ast.BinaryExpression() if node.op.name in _BINARY:
            return int(_BINARY[node.op.name](_value(node.lhs, known, sizes), _value(node.rhs, known, sizes)))
        case ast.Cast():
            return _cast(node.type, _value(node.argument, known, sizes))
    raise _UnknownError


def _cast(kind: Any, value: int) -> int:
    """A value as a bool, or as a whole number of the width that the type names (two's complement if it has a sign)."""
    size: Any = getattr(kind, "size", None)
    if isinstance(kind, ast.BoolType):
        return int(value != 0)
    if not isinstance(kind, ast.IntType | ast.UintType | ast.BitType):
        raise _UnknownError
    if size is None:
        return value
    if not isinstance(size, ast.IntegerLiteral) or not 1 <= size.value <= 64:
        raise _UnknownError
    width = int(size.value)
    value %= 2**width
    return value - 2**width if isinstance(kind, ast.IntType) and value >= 2 ** (width - 1) else value
