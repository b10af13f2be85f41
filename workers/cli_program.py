"""What a user names on the command line, as a program: a file, stdin, or a family with its parameters."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from circuits import CIRCUITS
from circuits.errors import InvalidParameter, InvalidProgram, UnknownCircuit
from circuits.registry import resolve

if TYPE_CHECKING:
    from circuits.program import Program


def reader(program: str, parameters: Mapping[str, str]) -> Callable[[], Program]:
    """How to read the program; what can be refused without an SDK is refused now.

    Raises:
        CircuitError: there is no such file or family.   OSError: the file cannot be read.
        typer.BadParameter: parameters for something that has none.
    """
    if program in CIRCUITS:
        return lambda: _family(program, parameters)
    if parameters:
        raise typer.BadParameter(f"--set is for families ({', '.join(CIRCUITS)}); {program!r} is none")
    most = _most_bytes() + 1  # one too many is enough to be refused: a pipe may never end
    text = sys.stdin.buffer.read(most) if program == "-" else _file(program, most)
    return lambda: _text(program, text)


def _family(name: str, parameters: Mapping[str, str]) -> Program:
    from circuits.parameters import construct
    from circuits.program import Program

    family = resolve(CIRCUITS, name, kind="circuit family", error=UnknownCircuit)
    return Program.from_any(construct(family, typed(family, parameters)))


def _most_bytes() -> int:
    from orchestrator.settings import Settings

    return Settings().max_program_bytes


def _file(name: str, most: int) -> bytes:
    path = Path(name)
    try:
        found = bool(name) and path.exists()
    except OSError as error:  # its name is too long, or a folder on the way may not be entered
        raise InvalidProgram(f"{name[:80]!r} cannot be read: {error.strerror}") from error
    if not found:
        close = get_close_matches(name[:80], CIRCUITS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownCircuit(f"{name[:80]!r} is neither a file nor a circuit family ({', '.join(CIRCUITS)}).{hint}")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file; pipe it in and say `-`"
        raise InvalidProgram(f"wanted a file of OpenQASM text; {name[:80]!r} is {what}")
    with path.open("rb") as file:
        return file.read(most)


def _text(name: str, raw: bytes) -> Program:
    from circuits.program import Program
    from orchestrator.settings import Settings

    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidProgram(f"{name!r} is no OpenQASM text: byte {error.start} is not UTF-8") from error
    return Program.from_any(text, limits=Settings().program_limits)


def typed(family: type, given: Mapping[str, str]) -> dict[str, Any]:
    """Parameters of a family as its fields have them.

    Raises:
        InvalidParameter: a text that cannot be read as the field's type. Names and ranges are the family's business.
    """
    from circuits.parameters import domains

    known = domains(family)
    found: dict[str, Any] = {}
    for name, text in given.items():
        domain = known.get(name)
        try:
            found[name] = text if domain is None else domain.kind(text)
        except ValueError as error:
            wanted = known[name].describe()
            raise InvalidParameter(f"{family.__name__}.{name}: wanted {wanted}, got {text[:80]!r}") from error
    return found
