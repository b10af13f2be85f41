"""The line to IBM Quantum: one machine as one account sees it, through qiskit-ibm-runtime.

What the client does that a buyer cannot have is put right here, and nowhere else: it sends a POST again after a 5xx,
although that may buy twice; it waits up to 15 minutes for an answer; it hides why a machine was not found; after a
failed sign-on it is silent for a minute. Verified in the source of version 0.45.1 (``api/session.py``,
``qiskit_runtime_service.py``, ``api/auth.py``), which is why this room pins it.

Credentials are the client's own affair (QISKIT_IBM_TOKEN or an account that it saved): nothing here reads, keeps or
prints them.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from backends.errors import (
    BackendError,
    CredentialsMissing,
    CredentialsRefused,
    ExecutionFailed,
    OutcomeUnknown,
    Throttled,
    TransientFailure,
    UnknownBackend,
)
from backends.sdk import sdk_version

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

T = TypeVar("T")

CONNECT_S, ANSWER_S, HAND_IN_S = 10.0, 60.0, 180.0
"""Longest wait for a connection, for an answer, and for that to a whole job (ours)."""

_NOT_THE_JOBS_FAULT = (401, 403, 429)

_SIGN_UP = (
    "make an API key at https://quantum.cloud.ibm.com and set QISKIT_IBM_TOKEN (and QISKIT_IBM_INSTANCE), or save an "
    "account once with qiskit_ibm_runtime.QiskitRuntimeService.save_account"
)


class Line:
    """Asks one machine. Not connected before the first question.

    Attributes:
        machine: IBM's name of it.
        handed_in: a job was sent to IBM since :meth:`hand_in` began.
    """

    def __init__(self, machine: str, instance: str | None) -> None:
        """Of an instance by name or CRN; None leaves the choice to the client's own settings."""
        self.machine = machine
        self._instance = instance
        self._backend: Any = None
        self.handed_in = False

    def find_account(self) -> None:
        """See that the client finds an account in its own places. Nobody is asked.

        Raises:
            DependencyNotInstalled, CredentialsMissing.
        """
        sdk_version(self.machine, "qiskit_ibm_runtime", "qiskit-ibm-runtime", "ibm")
        from qiskit_ibm_runtime.accounts import AccountManager, AccountNotFoundError

        try:
            AccountManager.get()
        except AccountNotFoundError as error:
            raise CredentialsMissing(f"{self.machine}: IBM's client found no credentials: {_SIGN_UP}") from error

    def ask(self, doing: str, question: Callable[[Any], T]) -> T:
        """Put a question that may be repeated to the client's backend object.

        Args:
            doing: for the message, such as "asking how job X stands".
            question: is given the ``IBMBackend``.

        Raises:
            CredentialsMissing, CredentialsRefused, Throttled, TransientFailure, UnknownBackend.
        """
        return self._put(doing, question, self._verdict)

    def hand_in(self, doing: str, question: Callable[[Any], T]) -> T:
        """Put a question that buys something. It is never repeated once it was sent.

        Raises:
            OutcomeUnknown: it was sent, and no answer says what became of it.
            ExecutionFailed: it was refused for good, by IBM or its client; besides what :meth:`ask` raises.
        """

        def verdict(doing: str, error: Exception) -> BackendError:
            words, response = f"{self.machine}: {doing}: {_words(error)}", _response(error)
            refused = response is not None and 400 <= response.status_code < 500 and response.status_code != 408
            if self.handed_in and not refused and not _never_sent(error):
                return OutcomeUnknown(f"{words}: IBM may have accepted it or not: look it up by its tag")
            if self._backend is not None and not self.handed_in and _is_objection(error):
                return ExecutionFailed(f"{words}: IBM's client refuses it")
            if refused and response.status_code not in _NOT_THE_JOBS_FAULT:
                return ExecutionFailed(f"{words}: IBM refuses it")
            return self._verdict(doing, error)

        self.handed_in = False
        return self._put(doing, question, verdict)

    def _put(self, doing: str, question: Callable[[Any], T], judge: Callable[[str, Exception], BackendError]) -> T:
        """Ask, and once more with a new access token where the old one was refused: nothing was done then."""
        for last in (False, True):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of paused machines and used-up plans: status and job say it
                    if self._backend is None:
                        self._backend = self._connect()
                    _sign_on(self._backend)
                    return question(self._backend)
            except BackendError:
                raise
            except _expected() as error:
                found = judge(doing, error)
                stale = self._backend is not None and isinstance(found, CredentialsRefused)
                if last or not stale:
                    raise found from error
                self._backend, self.handed_in = None, False
        raise AssertionError("the second turn returns or raises")

    def _connect(self) -> Any:
        sdk_version(self.machine, "qiskit_ibm_runtime", "qiskit-ibm-runtime", "ibm")
        from qiskit.providers.exceptions import QiskitBackendNotFoundError
        from qiskit_ibm_runtime import QiskitRuntimeService

        service = QiskitRuntimeService(instance=self._instance)
        clients = {id(each): each for each in (service._active_api_client, *service._api_clients.values())}
        for client in clients.values():
            client._session.mount("https://", self._adapter())
            client._session.mount("http://", self._adapter())
        try:
            return service.backend(self.machine)
        except QiskitBackendNotFoundError as error:
            offered = sorted({entry["name"] for client in clients.values() for entry in client.list_backends()})
            if self.machine in offered:
                next(iter(clients.values())).backend_configuration(self.machine)  # raises what the client had hidden
                raise TransientFailure(f"{self.machine}: its description could not be read: try again") from error
            raise UnknownBackend(
                f"IBM offers no machine {self.machine!r} to this account and instance; it offers: "
                f"{', '.join(offered) or 'none'}: correct QORCH_IBM_BACKEND or choose another QORCH_IBM_INSTANCE"
            ) from error

    def _adapter(self) -> Any:
        """Of a session that sends nothing twice by itself, and does not wait for ever."""
        from requests.adapters import HTTPAdapter

        line = self

        class Once(HTTPAdapter):
            def send(
                self,
                request: PreparedRequest,
                stream: bool = False,
                timeout: Any = None,
                verify: bool | str = True,
                cert: Any = None,
                proxies: Any = None,
            ) -> Response:
                buying = request.method == "POST" and (request.url or "").endswith("/jobs")
                line.handed_in |= buying
                patience_s = (CONNECT_S, HAND_IN_S if buying else ANSWER_S)  # the client would wait 15 minutes, or ever
                return super().send(request, stream, patience_s, verify, cert, proxies)

        return Once(max_retries=0)

    def _verdict(self, doing: str, error: Exception) -> BackendError:
        """What an error of the client means, as one of ours, in IBM's words."""
        from qiskit_ibm_runtime.accounts import AccountNotFoundError
        from qiskit_ibm_runtime.exceptions import IBMAccountError, IBMInputValueError

        words, response = f"{self.machine}: {doing}: {_words(error)}", _response(error)
        if isinstance(error, AccountNotFoundError):
            return CredentialsMissing(f"{self.machine}: IBM's client found no credentials: {_SIGN_UP}")
        if response is None:
            if self._backend is None and isinstance(error, IBMInputValueError | IBMAccountError) and not _broken(error):
                return CredentialsRefused(f"{words}: {_SIGN_UP}")
            return TransientFailure(f"{words}: try again")
        status, patience_s = response.status_code, _retry_after_s(response)
        if status in (401, 403) or (status == 400 and _is_sign_on(error)):
            return CredentialsRefused(f"{words}: IBM refuses the API key or the instance: {_SIGN_UP}")
        if status == 429 or (status >= 500 and patience_s is not None):
            return Throttled(f"{words}: IBM asks for patience", patience_s)
        return TransientFailure(f"{words}: try again")  # also a 404: another account may know the job


def _sign_on(backend: Any) -> None:
    """Have an access token before anything is sent; without one the client would send the API key itself.

    Its token manager lets nobody ask again for a minute after a failure: that is for the caller to decide.
    """
    manager = backend._api_client._session.auth.tm
    try:
        manager.get_token()
    except Exception:
        manager.request_time = 0
        raise


@cache
def _expected() -> tuple[type[Exception], ...]:
    """What the client may raise: its own, its HTTP libraries', and what an answer in no known shape leads to."""
    from ibm_cloud_sdk_core import ApiException
    from jwt import PyJWTError
    from qiskit.exceptions import QiskitError
    from requests import RequestException

    return QiskitError, ApiException, PyJWTError, RequestException, ValueError, KeyError, TypeError, AttributeError


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and everything that led to it, also where the client hides that."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _response(error: Exception) -> Any:
    """The HTTP answer that lies below an error; None if there was none, or it was fine and only unreadable."""
    for each in _chain(error):
        for name in ("response", "http_response"):
            found = getattr(each, name, None)
            if found is not None and found.status_code >= 400:
                return found
    return None


def _is_sign_on(error: Exception) -> bool:
    from ibm_cloud_sdk_core import ApiException

    return any(isinstance(each, ApiException) for each in _chain(error))


def _broken(error: Exception) -> bool:
    """The client did not get as far as an opinion of its own: the network failed, or an answer was not readable."""
    from qiskit_ibm_runtime.exceptions import IBMError

    return any(not isinstance(each, IBMError) for each in _chain(error))


def _is_objection(error: Exception) -> bool:
    """The client's own checks refuse the input: it is no answer of IBM's, read or unreadable."""
    from requests import RequestException

    return isinstance(error, ValueError) and not isinstance(error, RequestException | json.JSONDecodeError)


def _never_sent(error: Exception) -> bool:
    """No connection came about, so that nothing can have arrived.

    Behind a proxy urllib3 says "unable to connect to proxy" also when the answer to something that was sent is lost:
    only the failure below that counts.
    """
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    reasons = [getattr(argument, "reason", None) for each in _chain(error) for argument in each.args]
    roots = [getattr(reason, "original_error", reason) for reason in reasons]
    return any(isinstance(root, ConnectTimeoutError | NewConnectionError) for root in roots)


def _words(error: Exception) -> str:
    """IBM's own message where it sent one, else the client's."""
    response = _response(error)
    if response is None:
        found = str(error)
    else:
        try:
            body = response.json()
            entry = body["errors"][0] if body.get("errors") else body.get("error", body)
            found = entry.get("message") or body.get("errorMessage") or response.reason
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            found = response.reason
        found = f"HTTP {response.status_code}, {found}"
    return " ".join(str(found).strip("'\"").split()).rstrip(".")[:300]


def _retry_after_s(response: Any) -> float | None:
    """Seconds that an answer asks to wait, from either form of its header."""
    text = response.headers.get("Retry-After")
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
