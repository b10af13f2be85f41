"""What can go wrong before a circuit exists.

CircuitError
├─ InvalidProgram      the text, file or circuit object cannot be read, or exceeds a limit
├─ InvalidParameter    a family was given a value outside its range
├─ UnknownCircuit      no family has that name
└─ DependencyNotInstalled  a package is missing; the message is the command that installs it
"""


class CircuitError(Exception):
    """Base of everything this room raises."""


class InvalidProgram(CircuitError):
    """A program that cannot be read or that exceeds a limit of the door."""


class InvalidParameter(CircuitError):
    """A circuit family was given a parameter outside its range."""


class UnknownCircuit(CircuitError):
    """No circuit family is registered under that name."""


class DependencyNotInstalled(CircuitError):
    """A package that something of this room needs is not installed."""

    def __init__(self, what: str, module: str, extra: str) -> None:
        super().__init__(f"{what} needs {module!r}, which is not installed: pip install 'qorch[{extra}]'")
