"""What can go wrong where circuits run.

BackendError
├─ UnknownBackend          no backend has that name
├─ UnsupportedCircuit      this backend can never run that circuit; the message says why
├─ CalibrationMissing      a figure was asked for that the device does not publish
├─ InvalidPrices           a price table that cannot be read: file, line and field
├─ TransientFailure        may succeed when tried again
│  ├─ Throttled            the provider asks for patience, for so many seconds
│  └─ DeviceUnavailable    paused or offline; when it opens, if that is known
├─ OutcomeUnknown          it may have been bought or not: look before sending anything again
├─ CredentialsMissing      none where the SDK looks for them
├─ CredentialsRefused      the provider does not accept them
├─ ExecutionFailed         will fail again the same way
└─ NotHere                this machine cannot serve that backend
   ├─ DependencyNotInstalled  an SDK is missing; the message is the command that installs it
   └─ HardwareMissing         so is the device that it drives
"""


class BackendError(Exception):
    """Base of everything this room raises."""


class UnknownBackend(BackendError):
    """No backend is registered under that name."""


class UnsupportedCircuit(BackendError):
    """This backend can never run that circuit."""


class CalibrationMissing(BackendError):
    """The device publishes no such figure."""


class InvalidPrices(BackendError):
    """A price table that cannot be read."""


class TransientFailure(BackendError):
    """The run may succeed when tried again."""


class Throttled(TransientFailure):
    """The provider asks for patience."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeviceUnavailable(TransientFailure):
    """The device takes no work now."""

    def __init__(self, message: str, opens_at: float | None = None) -> None:
        super().__init__(message)
        self.opens_at = opens_at


class OutcomeUnknown(BackendError):
    """The provider may have accepted the work or not: nothing is sent again before that is known."""


class CredentialsMissing(BackendError):
    """The SDK found no credentials in its own places."""


class CredentialsRefused(BackendError):
    """The provider does not accept the credentials that the SDK found."""


class ExecutionFailed(BackendError):
    """The run failed and would fail again."""


class NotHere(BackendError):
    """This machine cannot serve the backend, and does not announce it."""


class HardwareMissing(NotHere):
    """The device that this backend drives is not here, or is not fit for it."""


class DependencyNotInstalled(NotHere):
    """An SDK that this backend needs is not installed."""

    def __init__(self, backend: str, module: str, extra: str) -> None:
        super().__init__(f"{backend} needs {module!r}, which is not installed: pip install 'qorch[{extra}]'")
