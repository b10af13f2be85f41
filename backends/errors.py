"""What can go wrong where circuits run.

BackendError
├─ UnknownBackend          no backend has that name
├─ UnsupportedCircuit      this backend can never run that circuit; the message says why
├─ CalibrationMissing      a figure was asked for that the device does not publish
├─ TransientFailure        may succeed when tried again
├─ ExecutionFailed         will fail again the same way
└─ DependencyNotInstalled  an SDK is missing; the message is the command that installs it
"""


class BackendError(Exception):
    """Base of everything this room raises."""


class UnknownBackend(BackendError):
    """No backend is registered under that name."""


class UnsupportedCircuit(BackendError):
    """This backend can never run that circuit."""


class CalibrationMissing(BackendError):
    """The device publishes no such figure."""


class TransientFailure(BackendError):
    """The run may succeed when tried again."""


class ExecutionFailed(BackendError):
    """The run failed and would fail again."""


class DependencyNotInstalled(BackendError):
    """An SDK that this backend needs is not installed."""

    def __init__(self, backend: str, module: str, extra: str) -> None:
        super().__init__(f"{backend} needs {module!r}, which is not installed: pip install 'qorch[{extra}]'")
