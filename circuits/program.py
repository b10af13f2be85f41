"""Programs: how a circuit travels. Text or a family's name with its parameters, plain JSON, never code.

Static circuits travel as OpenQASM 2 in gates that every SDK reads, dynamic ones as OpenQASM 3, families by name. A
program that comes from outside is trusted with nothing: ``load`` bounds size, registers, expanded gates and nesting
before a parser sees the text, and answers every defect with :class:`InvalidProgram`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuits import CIRCUITS, load
from circuits.dialects import READERS
from circuits.errors import CircuitError, InvalidProgram
from circuits.openqasm import check_text, detect_language, read

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from circuits.family import CircuitFamily, Counts

LANGUAGES = ("openqasm2", "openqasm3", "family")


@dataclass(frozen=True)
class Limits:
    """What a program from outside may ask for (ours).

    Attributes:
        max_program_bytes: size of OpenQASM 2 text, UTF-8.
        max_openqasm3_bytes: size of OpenQASM 3 text, whose parser reads about 60 kB a second.
        max_width: qubits declared, used or not.
        max_qubits: qubits that something acts on.
        max_clbits: classical bits declared.
        max_gates: instructions after expanding definitions, broadcasts and for loops.
        max_depth: longest chain of instructions, control flow expanded.
        max_nesting: depth of brackets and of gate definitions that use gate definitions.
        max_operators: arithmetic operators in one statement.
    """

    max_program_bytes: int = 1_000_000
    max_openqasm3_bytes: int = 250_000
    max_width: int = 1_024
    max_qubits: int = 64
    max_clbits: int = 4_096
    max_gates: int = 200_000
    max_depth: int = 200_000
    max_nesting: int = 50
    max_operators: int = 500


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Program:
    """A circuit on its way.

    Attributes:
        language: "openqasm2", "openqasm3" or "family".
        text: the OpenQASM text; empty for a family.
        family: key in ``circuits.CIRCUITS``; empty for text.
        parameters: the family's parameters, plain JSON.
    """

    language: str
    text: str = ""
    family: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise InvalidProgram(f"wanted language {', '.join(LANGUAGES)}, got {str(self.language)[:40]!r}")
        if not isinstance(self.text, str) or not isinstance(self.family, str):
            raise InvalidProgram("wanted text and family as strings")
        if not isinstance(self.parameters, Mapping) or not all(isinstance(name, str) for name in self.parameters):
            raise InvalidProgram(f"wanted parameters as a mapping from names, got {type(self.parameters).__name__}")
        if (self.language == "family") != bool(self.family) or (self.language == "family" and self.text):
            raise InvalidProgram("wanted either a family's name or OpenQASM text, with the language that says which")

    @classmethod
    def from_any(cls, source: object, *, limits: Limits = DEFAULT_LIMITS) -> Program:
        """Whatever a user holds, as a program.

        Accepts a circuit of Qiskit, Cirq or Braket, a tape or QNode of PennyLane (one with arguments: ``from_qnode``),
        an instance of a registered family, OpenQASM 2 or 3 text, a ``pathlib.Path`` to such text, or a program. A
        circuit without any measurement is measured on all its qubits; ``circuits.dialects`` states the order of qubits
        and bits. Text is checked as far as that needs no SDK; ``load`` does the rest.

        Raises:
            InvalidProgram: none of these, or it has free parameters, or it exceeds a limit.
        """
        if isinstance(source, Program):
            return source
        if isinstance(source, str):
            return cls._from_text(source, limits)
        if isinstance(source, Path):
            return cls._from_text(_read_file(source, limits), limits)
        name = _family_name(source)
        if name is not None and is_dataclass(source) and not isinstance(source, type):
            return cls("family", family=name, parameters=asdict(source))
        reader = _reader(source)
        if reader is not None:
            return cls._from_circuit(lambda: reader(source, limits), limits)
        raise InvalidProgram(
            "wanted a circuit of Qiskit, PennyLane, Cirq or Braket, a circuit family, OpenQASM text or a pathlib.Path"
            f" to it, got {type(source).__module__}.{type(source).__qualname__}; convert it to one of these"
        )

    @classmethod
    def from_qnode(cls, qnode: object, *args: Any, limits: Limits = DEFAULT_LIMITS, **keywords: Any) -> Program:
        """The circuit that a PennyLane QNode makes of these arguments.

        What it returns must be counts, probabilities or samples; its own device names and orders the wires and is not
        used otherwise, nor are its shots.

        Raises:
            InvalidProgram: it is no QNode, its function fails, or the circuit cannot be sent.
        """
        reader = _reader(qnode)
        if type(qnode).__name__ != "QNode" or reader is None:
            raise InvalidProgram(f"wanted a PennyLane QNode, got {type(qnode).__qualname__}; from_any takes the rest")
        return cls._from_circuit(lambda: reader(qnode, limits, args, keywords), limits)

    @classmethod
    def _from_circuit(cls, make: Callable[[], QuantumCircuit], limits: Limits) -> Program:
        """The program of a circuit that an SDK's reader makes, whatever it meets on the way."""
        from circuits.lowering import to_openqasm

        try:
            language, text = to_openqasm(make(), limits)
        except CircuitError:
            raise
        except RecursionError as error:
            raise InvalidProgram("the circuit nests without end: some gate is made of itself; define it") from error
        except Exception as error:  # objects of a user's making fail in ways of their own
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InvalidProgram(f"the circuit cannot be read: {reason}; write it as plain gates") from error
        check_text(language, text, limits)
        if language == "openqasm3":
            read(language, text, limits)  # not all that Qiskit writes can be read back: better told now than later
        return cls(language, text=text)

    @classmethod
    def _from_text(cls, text: str, limits: Limits) -> Program:
        text = text.removeprefix("\ufeff")  # the byte order mark that some editors write
        language = detect_language(text)
        check_text(language, text, limits)
        return cls(language, text=text)

    @classmethod
    def from_json(cls, record: object) -> Program:
        """The program of a ``to_json`` record.

        Raises:
            InvalidProgram: it is not such a record.
        """
        if not isinstance(record, Mapping) or not set(record) <= {"language", "text", "family", "parameters"}:
            raise InvalidProgram("wanted a mapping with language, text, family and parameters and nothing else")
        return cls(**{"language": "", **record})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; ``from_json`` gives the program back."""
        return {
            "language": self.language,
            "text": self.text,
            "family": self.family,
            "parameters": dict(self.parameters),
        }

    def content_hash(self) -> str:
        """sha256 of the canonical JSON: a cache key, never a job's id. A circuit's name is not part of it."""
        return self._content_hash

    @cached_property
    def _content_hash(self) -> str:
        try:
            canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidProgram(f"wanted parameters of plain, finite JSON: {str(error)[:200]}") from error
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    def load(self, limits: Limits = DEFAULT_LIMITS) -> CircuitFamily:
        """The circuit family this program stands for; OpenQASM text becomes a :class:`UserCircuit`.

        A circuit without any measurement is measured on all its qubits.

        Raises:
            UnknownCircuit: no family has that name.
            InvalidParameter: a family's parameter is unknown or out of range.
            InvalidProgram: the text cannot be read or exceeds a limit.
        """
        if self.language == "family":
            family: CircuitFamily = load(self.family, **self.parameters)
            return family
        return UserCircuit(read(self.language, self.text, limits))


@dataclass(frozen=True, eq=False)
class UserCircuit:
    """A circuit that a user brought. It has no score of its own: see :func:`is_scored`."""

    circuit: QuantumCircuit

    def build(self) -> QuantumCircuit:
        """The circuit, measured and without free parameters."""
        return self.circuit

    def score(self, counts: Counts) -> float:
        """Unsupported: nobody told what a good result of this circuit is."""
        raise CircuitError("a user's circuit has no score; compare its counts with the ideal distribution instead")

    @property
    def ideal_score(self) -> float:
        """1, the Hellinger fidelity of a perfect device."""
        return 1.0


def is_scored(family: object) -> bool:
    """Whether a family knows what a good result is. A user's circuit is judged by its Hellinger fidelity instead."""
    return not isinstance(family, UserCircuit)


def _reader(source: object) -> Callable[..., QuantumCircuit] | None:
    """What makes a Qiskit circuit of it. Imports no SDK but the one that the object is of."""
    for kind in type(source).__mro__:
        for (package, name), path in READERS.items():
            if kind.__name__ == name and f"{kind.__module__}.".startswith(f"{package}."):
                module, _, function = path.partition(":")
                reader: Callable[..., QuantumCircuit] = getattr(import_module(module), function)
                return reader
    return None


def _family_name(source: object) -> str | None:
    """The registered name of an instance's class. Imports nothing: the class of an instance is imported already."""
    for name, path in CIRCUITS.items():
        module, _, attribute = path.partition(":")
        if type(source) is getattr(sys.modules.get(module), attribute, None):
            return name
    return None


def _read_file(path: Path, limits: Limits) -> str:
    try:
        if not path.is_file():
            raise InvalidProgram(f"wanted a file of OpenQASM text, got {str(path)[:200]!r}, which is no regular file")
        with path.open("rb") as file:
            raw = file.read(limits.max_program_bytes + 1)
        if len(raw) > limits.max_program_bytes:
            raise InvalidProgram(f"{path.name}: wanted at most {limits.max_program_bytes} bytes; shrink the program")
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidProgram(f"{path.name}: byte {error.start} is not UTF-8; save the program as UTF-8 text") from error
    except (OSError, ValueError) as error:
        raise InvalidProgram(f"{str(path)[:200]!r} cannot be read: {error}") from error
