"""The backend that speaks with the provider of the tests: a :class:`backends.remote.RemoteBackend` over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backends import BACKENDS
from backends.backend import Availability, Device, Execution, TranspileOptions
from backends.errors import (
    BackendError,
    CredentialsRefused,
    DeviceUnavailable,
    ExecutionFailed,
    OutcomeUnknown,
    Throttled,
    TransientFailure,
)
from backends.remote import Delivery, RemoteState, RemoteStatus, Ticket
from backends.transpilation import transpile
from circuits.family import Run
from tests.far.provider import device
from tests.far.server import URL

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

WEIGHT = 0.9
"""What its calibration says of whatever it ran."""

NAME = "far"
WAIT_S = 40.0


def register() -> None:
    """Put it into the registry, as the file of a house's own would be."""
    BACKENDS[NAME] = "tests.far.backend:Far"


class Far:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._device = device(NAME)

    def device(self) -> Device:
        return self._device

    def refresh(self) -> Device:
        state = self._ask("device")["state"]
        why = "" if state == "online" else "it is being calibrated"
        self._device = replace(self._device, availability=Availability(state, why, 0, 0.0, heard_at=time.time()))
        return self._device

    def warm_up(self) -> None:
        """Nothing to import."""

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        return transpile(self._device, circuits, options)

    def submit(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, purchase_id: str, memory: bool = False
    ) -> Ticket:
        (circuit,), (run,) = prepared, runs
        try:
            told = self._ask("submit", purchase_id=purchase_id, shots=run.shots, bits=circuit.num_clbits)
        except (Throttled, DeviceUnavailable):
            raise
        except TransientFailure as error:  # this provider may have taken it
            raise OutcomeUnknown(str(error)) from error
        return Ticket(purchase_id, (told["id"],))

    def find(self, purchase_id: str, *, num_runs: int) -> Ticket | None:
        found = self._ask("find", purchase_id=purchase_id)["id"]
        return None if found is None else Ticket(purchase_id, (found,))

    def poll(self, ticket: Ticket) -> RemoteStatus:
        told = self._ask("poll", id=ticket.remote_ids[0])
        return RemoteStatus(RemoteState(told["state"]), told["position"])

    def fetch(self, ticket: Ticket, runs: Sequence[Run], *, memory: bool = False) -> Delivery:
        told = self._ask("fetch", id=ticket.remote_ids[0])
        execution = Execution((told["counts"],), run_s=0.05, method=NAME, device_s=0.05, queue_s=0.25)
        return Delivery(execution, billed_usd=told["usd"], billed_s=0.05, weights=(WEIGHT,))

    def cancel(self, ticket: Ticket) -> None:
        self._ask("cancel", id=ticket.remote_ids[0])

    def _ask(self, step: str, **asked: Any) -> Any:
        address = urlsplit(os.environ[URL])
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=WAIT_S)
        try:
            connection.request("POST", f"/{step}", json.dumps(asked), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise TransientFailure(f"no answer to {step}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise _error(answer.status, told["message"], answer.headers.get("Retry-After"))
        return told


def _error(code: int, message: str, retry_after: str | None) -> BackendError:
    if code == 429:
        return Throttled(message, float(retry_after or 1.0))
    if code == 503:
        return DeviceUnavailable(message, opens_at=time.time() + 0.5)
    kinds: dict[int, type[BackendError]] = {400: ExecutionFailed, 401: CredentialsRefused}
    return kinds.get(code, TransientFailure)(message)
