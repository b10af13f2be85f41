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
    from circuits.program import Limits
    from qiskit import QuantumCircuit

STANDARD_INCLUDES = {"openqasm2": "qelib1.inc", "openqasm3": "stdgates.inc"}

_COMMENT_2 = re.compile(r'("[^"\n]*"|\'[^\'\n]*\')|//[^\n]*')
_COMMENT_3 = re.compile(r'("[^"\n]*"|\'[^\'\n]*\')|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_HEADER = re.compile(r"\s*OPENQASM\s+(\d+)(?:\.\d+)?\s*;")
_INCLUDE = re.compile(r"\binclude\b\s*(\"[^\"\n]*\"|'[^'\n]*'|\S{0,80})")
_REGISTER = re.compile(r"\b(qreg|creg)\s+([A-Za-z_]\w*)\s*\[\s*(\d+)\s*\]")
_DECLARATION_3 = re.compile(r"\b(qubit|bit)\s*\[\s*(\d+)\s*\]")
_PHYSICAL = re.compile(r"\$(\d+)")
_GATE = re.compile(r"\bgate\s+([A-Za-z_]\w*)([^{};]*)\{([^{}]*)\}")
_CALL = re.compile(r"\s*(?:if\s*\([^()]*\)\s*)?([A-Za-z_]\w*)\s*(.*)", re.DOTALL)


def detect_language(text: str) -> str:
    """"openqasm2" or "openqasm3", by the header.

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
        token = match[0]
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        if token in ";{}":
            operators = 0
        elif token in "+-*/^~!@":
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
    count: dict[str, int] = {}
    level: dict[str, int] = {}
    for match in _GATE.finditer(code):  # a definition may only use earlier ones, so one pass is enough
        calls = [call[1] for statement in match[3].split(";") if (call := _CALL.match(statement))]
        count[match[1]] = sum(count.get(name, 1) for name in calls)
        level[match[1]] = 1 + max((level.get(name, 0) for name in calls), default=0)
        if level[match[1]] > limits.max_nesting:
            _exceeds(f"gate {match[1][:40]}: depth of nested definitions", level[match[1]], limits.max_nesting)
    sizes = {match[2]: _small_int(match[3]) for match in _REGISTER.finditer(code)}
    total = 0
    for statement in _GATE.sub(";", code).split(";"):
        call = _CALL.match(statement)
        if call is None or call[1] in ("OPENQASM", "include", "qreg", "creg", "gate", "opaque", "barrier"):
            continue
        operands = call[2].rpartition(")")[2].split(",")
        spread = max(sizes.get(operand.partition("->")[0].strip(), 1) for operand in operands)
        total += spread * count.get(call[1], 1)
        if total > limits.max_gates:
            _exceeds("gates after expanding definitions and registers", f"at least {total:.3g}", limits.max_gates)
