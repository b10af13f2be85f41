"""The door for OpenQASM text: everything that can be refused before a parser sees it, and the parsers behind it.

A parser may allocate what a text declares, recurse as deep as a text nests (Qiskit's OpenQASM 2 parser overflows the
stack of the process near 100 000 levels) and expand gate definitions that double at every level. So size, nesting,
registers and expanded gate count are bounded here first, with regular expressions alone; OpenQASM 3 is looked at again
as a syntax tree (``circuits.openqasm3``). No file of the machine is ever read. Whatever a parser still raises becomes
:class:`InvalidProgram` with the parser's own words, which name the line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from circuits.errors import InvalidProgram

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from circuits.program import Limits

STANDARD_INCLUDES = {"openqasm2": "qelib1.inc", "openqasm3": "stdgates.inc"}

_COMMENT_2 = re.compile(r'("[^"\n]*"|\'[^\'\n]*\')|//[^\n]*')
_COMMENT_3 = re.compile(r'("[^"\n]*"|\'[^\'\n]*\')|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_HEADER = re.compile(r"\s*OPENQASM\s+(\d+)(?:\.\d+)?\s*;")
_INCLUDE = re.compile(r"\binclude\b\s*(\"[^\"\n]*\"|'[^'\n]*'|\S{0,80})")
_REGISTER = re.compile(r"\b(qreg|creg)\s+([A-Za-z_]\w*)\s*\[\s*(\d+)\s*\]")
_DECLARATION_3 = re.compile(r"\b(qubit|bit)\s*\[\s*(\d+)\s*\]")
_DEFINITION = re.compile(r"\bgate\s+([A-Za-z_]\w*)")
_PHYSICAL = re.compile(r"\$(\d+)")
_CALL = re.compile(r"\s*(?:if\s*\([^()]*\)\s*)?([A-Za-z_]\w*)\s*(.*)", re.DOTALL)
_NO_GATES = frozenset({"OPENQASM", "include", "qreg", "creg", "gate", "opaque", "barrier"})


def detect_language(text: str) -> str:
    """The language that the header names: openqasm2 or openqasm3.

    Raises:
        InvalidProgram: there is no header, or its version is another one.
    """
    match = _HEADER.match(_COMMENT_3.sub(_keep_lines, text[:100_000]))
    if match is None:
        start = text.lstrip()[:40]
        raise InvalidProgram(
            f"wanted OpenQASM text that starts with 'OPENQASM 2.0;' or 'OPENQASM 3.0;', got {start!r}; add the header"
        )
    if match[1] not in ("2", "3"):
        raise InvalidProgram(f"wanted OpenQASM version 2 or 3, got version {match[1][:20]}; export it as one of these")
    return f"openqasm{match[1]}"


def check_text(language: str, text: str, limits: Limits) -> str:
    """Refuse what can be refused by looking at the text. Imports no SDK.

    Returns:
        The text without comments; line numbers are kept.

    Raises:
        InvalidProgram: the message names the cause, the limit and the remedy.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InvalidProgram(f"the text is not valid Unicode at character {error.start}; save it as UTF-8") from error
    allowed = limits.max_program_bytes if language == "openqasm2" else limits.max_openqasm3_bytes
    if size > allowed:
        _exceeds("size of the text, bytes", size, allowed)
    control = re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise InvalidProgram(f"line {line}: byte 0x{ord(control[0]):02x} has no place in OpenQASM text; is it binary?")
    if detect_language(text) != language:
        raise InvalidProgram(f"wanted {language} text, but its header says {detect_language(text)}")
    code = (_COMMENT_2 if language == "openqasm2" else _COMMENT_3).sub(_keep_lines, text)
    _check_includes(language, code)
    _check_nesting(code, limits)
    _check_registers(code, limits)
    if language == "openqasm2":
        _check_expansion(code, limits)
    return code


def read(language: str, text: str, limits: Limits) -> QuantumCircuit:
    """Parse text into a circuit; one without any measurement is measured on all its qubits.

    Raises:
        InvalidProgram: the text is malformed or exceeds a limit.
    """
    check_text(language, text, limits)
    try:
        from circuits.lowering import admit  # inside, since OpenQASM 2 evaluates a gate's angles when it is looked at

        return admit(_parse(language, text, limits), limits)
    except InvalidProgram:
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except RecursionError as error:
        raise InvalidProgram(f"the {language} text nests too deeply to be read; flatten it") from error
    except MemoryError as error:
        raise InvalidProgram(f"the {language} text needs more memory than there is; make it smaller") from error
    except BaseException as error:  # a panic of a Rust parser is no Exception
        message = " ".join(str(error).split())[:400] or type(error).__name__
        raise InvalidProgram(f"the {language} text cannot be read: {message}") from error


def _parse(language: str, text: str, limits: Limits) -> QuantumCircuit:
    if language == "openqasm3":
        from circuits.openqasm3 import parse

        return parse(text, limits)
    from qiskit import qasm2

    from circuits.lowering import check_names

    defined = {match[1] for match in _DEFINITION.finditer(text)}
    others = [gate for gate in qasm2.LEGACY_CUSTOM_INSTRUCTIONS if gate.name not in defined]
    if len(others) < len(qasm2.LEGACY_CUSTOM_INSTRUCTIONS):  # Qiskit would ignore what the text says of these
        check_names(qasm2.loads(text, include_path=(), custom_instructions=others), set())
    return qasm2.loads(text, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)


def _keep_lines(match: re.Match[str]) -> str:
    """A comment becomes as many line ends as it had; a string stays."""
    kept: str | None = match[1]
    return kept if kept is not None else " " + "\n" * match[0].count("\n")


def _exceeds(what: str, got: int | str, limit: int) -> NoReturn:
    raise InvalidProgram(f"{what}: wanted at most {limit}, got {got}; shrink the program or raise the limit")


def _check_includes(language: str, code: str) -> None:
    wanted = STANDARD_INCLUDES[language]
    for match in _INCLUDE.finditer(code):
        name = match[1].strip("\"';")
        if name != wanted:
            line = code.count("\n", 0, match.start()) + 1
            raise InvalidProgram(
                f"line {line}: include {name[:80]!r} is refused, no file is read here: only {wanted!r} is known;"
                " paste its gate definitions into the program"
            )


def _check_nesting(code: str, limits: Limits) -> None:
    """Bound bracket depth, and the operators of one statement: chains of signs and powers recurse in a parser too."""
    depth = operators = 0
    for match in re.finditer(r"[()\[\]{};+\-*/^~!@]", code):
        mark = match[0]
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        if mark in ";{}":
            operators = 0
        elif mark in "+-*/^~!@":
            operators += 1
        if depth > limits.max_nesting or operators > limits.max_operators:
            line = code.count("\n", 0, match.start()) + 1
            if depth > limits.max_nesting:
                _exceeds(f"line {line}: depth of nested brackets", depth, limits.max_nesting)
            _exceeds(f"line {line}: operators in one statement", operators, limits.max_operators)


def _check_registers(code: str, limits: Limits) -> None:
    """Bound the declared registers, one by one and together, before anything allocates them."""
    qubits = clbits = 0
    declared = [(match, match[1], match[3]) for match in _REGISTER.finditer(code)]
    declared += [(match, match[1], match[2]) for match in _DECLARATION_3.finditer(code)]
    for match, kind, digits in declared:
        size = _small_int(digits)
        if kind in ("qreg", "qubit"):
            qubits += size
        else:
            clbits += size
        line = code.count("\n", 0, match.start()) + 1
        if qubits > limits.max_width:
            _exceeds(f"line {line}: declared qubits", digits[:20], limits.max_width)
        if clbits > limits.max_clbits:
            _exceeds(f"line {line}: declared classical bits", digits[:20], limits.max_clbits)
    for match in _PHYSICAL.finditer(code):
        if _small_int(match[1]) >= limits.max_width:
            _exceeds("index of a physical qubit", match[1][:20], limits.max_width - 1)


def _small_int(digits: str) -> int:
    """The integer; anything of more than nine digits is just "too big"."""
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= 9 else 10**9


def _check_expansion(code: str, limits: Limits) -> None:
    """Count the gates of OpenQASM 2 text after expanding every definition and broadcast, without expanding any."""
    sizes = {match[2]: _small_int(match[3]) for match in _REGISTER.finditer(code)}
    known: dict[str, tuple[int, int]] = {}  # gate -> (expanded gates, levels of definitions below and with it)
    defining: str | None = None
    total = level = inside = 0
    pieces = re.split(r"([;{}])", code)
    for statement, end in zip(pieces[::2], [*pieces[1::2], ";"], strict=True):
        call = _CALL.match(statement)
        name = "" if call is None else call[1]
        if end == "{":
            defining = (call[2].split(None, 1) or [""])[0].partition("(")[0] if call is not None else ""
            level = inside = 0
            continue
        if call is not None and name not in _NO_GATES:
            gates, depth = known.get(name, (1, 0))
            if defining is None:
                operands = call[2].rpartition(")")[2].split(",")
                total += gates * max(sizes.get(operand.partition("->")[0].strip(), 1) for operand in operands)
            inside, level = inside + gates, max(level, depth)
        if end == "}" and defining is not None:
            known[defining], defining = (inside, level + 1), None  # a definition may only use earlier ones
            if level >= limits.max_nesting:
                _exceeds("depth of nested gate definitions", level + 1, limits.max_nesting)
        if total > limits.max_gates:
            _exceeds("gates after expanding definitions and registers", f"at least {total:.3g}", limits.max_gates)
