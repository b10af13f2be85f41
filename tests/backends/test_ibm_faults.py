"""What goes wrong between here and IBM buys nothing twice and loses nothing: the real client, a server with faults."""

from __future__ import annotations

import email.utils
import os
import random
import subprocess
import sys
import time
import warnings
from typing import Any

import pytest
from qiskit import QuantumCircuit

from backends.backend import TranspileOptions
from backends.errors import (
    CredentialsRefused,
    ExecutionFailed,
    OutcomeUnknown,
    Throttled,
    TransientFailure,
)
from backends.ibm import SETTLE_S, IBMQuantum
from backends.remote import RemoteState, Ticket
from circuits.family import Run
from tests.backends.conftest import MACHINE, Clock
from tests.servers.ibm_runtime import Server

RUNS = [Run(20), Run(10)]
HAND_IN = "POST /api/v1/jobs"


def prepared(machine: IBMQuantum) -> list[QuantumCircuit]:
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.measure_all()
    return machine.prepare([circuit], TranspileOptions())


def delivered(machine: IBMQuantum, ticket: Ticket) -> bool:
    assert machine.poll(ticket).state is RemoteState.DONE
    return machine.fetch(ticket, RUNS).execution.counts == ({"1": 20}, {"1": 10})


@pytest.mark.parametrize("fault", [{"kind": "accept_then_status"}, {"kind": "accept_then_drop"}, {"kind": "garble"}])
def test_work_that_was_accepted_without_a_word_is_found_by_its_tag(
    ibm: Server, machine: IBMQuantum, fault: dict[str, Any]
) -> None:
    ibm.faults.add(**fault)
    with pytest.raises(OutcomeUnknown, match="look it up by its tag"):
        machine.submit(prepared(machine), RUNS, purchase_id="p")
    assert ibm.requests[HAND_IN] == 1, "the client's own retries are off"
    ticket = machine.find("p", num_runs=2)
    assert ticket is not None
    assert machine.submit(prepared(machine), RUNS, purchase_id="p") == ticket
    assert IBMQuantum(MACHINE).submit(prepared(machine), RUNS, purchase_id="p") == ticket, "nor in another process"
    assert ibm.account.report()["purchases"] == {"qorch-p": 1}
    assert delivered(machine, ticket)


@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "refuse", "status": 503}, {"kind": "refuse"}])
def test_work_that_never_arrived_is_sent_again_only_when_that_is_certain(
    ibm: Server, machine: IBMQuantum, clock: Clock, fault: dict[str, Any]
) -> None:
    ibm.faults.add(**fault)
    with pytest.raises(OutcomeUnknown):
        machine.submit(prepared(machine), RUNS, purchase_id="p")
    with pytest.raises(OutcomeUnknown, match="look for it first"):
        machine.submit(prepared(machine), RUNS, purchase_id="p")
    with pytest.raises(Throttled) as told:
        machine.find("p", num_runs=2)
    assert told.value.retry_after_s == pytest.approx(SETTLE_S)
    clock.now += SETTLE_S
    assert machine.find("p", num_runs=2) is None
    assert delivered(machine, machine.submit(prepared(machine), RUNS, purchase_id="p"))
    assert ibm.requests[HAND_IN] == 2
    assert ibm.account.report()["purchases"] == {"qorch-p": 1}


@pytest.mark.parametrize("text", ["soon", "nan", "-1", "inf"])
def test_a_wait_that_is_no_number_lets_nothing_be_bought_again(
    machine: IBMQuantum, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("QORCH_IBM_SETTLE_S", text)
    with pytest.raises(TransientFailure, match="QORCH_IBM_SETTLE_S"):
        machine.find("p", num_runs=2)


def test_a_list_that_lags_behind_is_no_proof(ibm: Server, machine: IBMQuantum, clock: Clock) -> None:
    """Another process was killed while it handed in; the job is listed a little later."""
    with pytest.raises(Throttled):
        machine.find("p", num_runs=2)
    clock.now += SETTLE_S / 2
    ticket = IBMQuantum(MACHINE).submit(prepared(machine), RUNS, purchase_id="p")
    clock.now += SETTLE_S
    assert machine.find("p", num_runs=2) == ticket


def test_the_client_by_itself_would_buy_twice(ibm: Server, machine: IBMQuantum) -> None:
    """Why it is not left to itself: its own session repeats the POST after a 5xx."""
    from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2

    ibm.faults.add(kind="accept_then_status")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = SamplerV2(QiskitRuntimeService().backend(MACHINE), {"environment": {"job_tags": ["alone"]}})
        sampler.run(prepared(machine))
    assert ibm.account.report()["doubles"] == {"alone": 2}


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_patience_is_asked_for_and_told(ibm: Server, machine: IBMQuantum, form: str) -> None:
    wanted = "17" if form == "seconds" else email.utils.formatdate(time.time() + 17, usegmt=True)
    ibm.faults.add(kind="refuse", status=429, headers={"Retry-After": wanted})
    with pytest.raises(Throttled) as told:
        machine.submit(prepared(machine), RUNS, purchase_id="p")
    assert told.value.retry_after_s == pytest.approx(17, abs=5)
    assert ibm.requests[HAND_IN] == 1
    ibm.faults.add(kind="refuse", status=429, method="GET", path="/status$")
    with pytest.raises(Throttled) as told:
        machine.refresh()
    assert told.value.retry_after_s is None
    assert delivered(machine, machine.submit(prepared(machine), RUNS, purchase_id="p"))


def test_a_refusal_is_final_and_a_job_that_is_not_found_may_be_another_accounts(
    ibm: Server, machine: IBMQuantum
) -> None:
    ibm.faults.add(kind="refuse", status=400, message="The circuit has too many classical registers")
    with pytest.raises(ExecutionFailed, match=r"HTTP 400, The circuit has too many.*IBM refuses it"):
        machine.submit(prepared(machine), RUNS, purchase_id="p")
    assert ibm.account.report()["num_jobs"] == 0
    for ask in (machine.poll, machine.cancel):
        with pytest.raises(TransientFailure, match="Job not found"):
            ask(Ticket("p", ("nobody-knows-it",)))


def test_an_access_token_that_ibm_forgot_is_renewed(ibm: Server, machine: IBMQuantum) -> None:
    ready = prepared(machine)
    ibm.account.tokens.clear()
    ticket = machine.submit(ready, RUNS, purchase_id="p")
    ibm.faults.add(kind="refuse", status=401)
    second = machine.submit(ready, RUNS, purchase_id="q")
    assert delivered(machine, ticket)
    assert delivered(machine, second)
    assert ibm.account.report()["doubles"] == {}
    ibm.account.tokens.clear()
    ibm.account.key_is_good = False
    with pytest.raises(CredentialsRefused):
        machine.poll(ticket)


def test_a_sign_on_that_fails_can_be_tried_again_at_once(ibm: Server, machine: IBMQuantum) -> None:
    """The client's token manager would be silent for a minute."""
    ibm.account.tokens.clear()
    machine._line._backend._api_client._session.auth.tm.expire_time = 0
    ibm.faults.add(kind="refuse", path="token", status=503)
    with pytest.raises(TransientFailure):
        machine.refresh()
    assert machine.refresh().num_qubits == 7


def test_what_never_left_is_known_not_to_have_been_bought(
    ibm: Server, machine: IBMQuantum, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hand_in(backend: Any) -> None:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        backend._api_client.program_run("sampler", MACHINE, {}, None, None, None)

    with pytest.raises(TransientFailure):
        machine._line.hand_in("handing in a job", hand_in)
    assert ibm.requests[HAND_IN] == 0


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_a_session_is_shared_and_opened_anew_when_it_has_ended(
    ibm: Server, machine: IBMQuantum, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("QORCH_IBM_MODE", mode)
    ready = prepared(machine)
    tickets = [machine.submit(ready, RUNS, purchase_id=name) for name in "ab"]
    for session_id in ibm.account.sessions:
        ibm.account.close_session(session_id)
    tickets.append(machine.submit(ready, RUNS, purchase_id="c"))
    report = ibm.account.report()
    used = [job["session_id"] for job in report["jobs"]]
    assert used[0] == used[1] != used[2] is not None
    assert {session["mode"] for session in report["sessions"]} == {"dedicated" if mode == "session" else "batch"}
    assert report["doubles"] == {}
    assert all(delivered(machine, ticket) for ticket in tickets)


def test_a_lost_answer_in_a_session_is_no_reason_for_another_session(
    ibm: Server, machine: IBMQuantum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QORCH_IBM_MODE", "session")
    ibm.faults.add(kind="accept_then_drop")
    with pytest.raises(OutcomeUnknown):
        machine.submit(prepared(machine), RUNS, purchase_id="p")
    assert ibm.requests[HAND_IN] == ibm.account.report()["num_jobs"] == 1
    monkeypatch.setenv("QORCH_IBM_MODE", "conference")
    with pytest.raises(ExecutionFailed, match="job, batch, session"):
        machine.submit(prepared(machine), RUNS, purchase_id="q")


KILLED = """
import json, os, signal, sys
from backends.backend import TranspileOptions
from backends.ibm import IBMQuantum
from circuits.family import Run
from qiskit import QuantumCircuit

machine = IBMQuantum(sys.argv[1])
circuit = QuantumCircuit(1)
circuit.x(0)
circuit.measure_all()
machine.submit(machine.prepare([circuit], TranspileOptions()), [Run(20), Run(10)], purchase_id="p")
os.kill(os.getpid(), signal.SIGKILL)  # before anybody has heard of the ticket
"""


def test_a_process_that_is_killed_between_submit_and_poll_loses_nothing(ibm: Server, machine: IBMQuantum) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, MACHINE], env=os.environ, check=False, timeout=60)
    assert done.returncode == -9
    ticket = machine.find("p", num_runs=2)
    assert ticket is not None
    assert machine.submit(prepared(machine), RUNS, purchase_id="p") == ticket
    assert ibm.account.report()["purchases"] == {"qorch-p": 1}
    assert delivered(machine, ticket)


STORM: tuple[dict[str, Any], ...] = (
    {"kind": "accept_then_status", "status": 500},
    {"kind": "accept_then_status", "status": 504},
    {"kind": "accept_then_drop"},
    {"kind": "garble"},
    {"kind": "drop"},
    {"kind": "refuse", "status": 503},
    {"kind": "refuse", "status": 429, "headers": {"Retry-After": "1"}},
    {"kind": "refuse", "status": 401},
    {"kind": "refuse", "status": 502, "method": "GET", "path": "/jobs$"},
    {"kind": "drop", "method": "GET", "path": "/jobs/[^/]+$"},
    {"kind": "refuse", "status": 500, "method": "GET", "path": "/results$"},
    {"kind": "garble", "method": "GET", "path": "/metrics$"},
    {"kind": "drop", "method": "GET", "path": "/results$"},
    {"kind": "drop", "method": "GET", "path": "/backends/.*/status$"},
)


def storm(server: Server, machine: IBMQuantum, clock: Clock, rng: random.Random, *, num_purchases: int) -> int:
    """Buy through faults as the contract says; gives the number of results that came back."""
    ready, num_delivered = prepared(machine), 0
    for number in range(num_purchases):
        purchase_id, ticket, unknown = f"storm{number}", None, False
        for fault in rng.choices(STORM, k=rng.randint(1, 3)):
            server.faults.add(**fault)
        if rng.random() < 0.2:
            server.account.tokens.clear()
        for _ in range(25):
            try:
                if ticket is None and unknown:
                    ticket, unknown = machine.find(purchase_id, num_runs=2), False
                if ticket is None:
                    ticket = machine.submit(ready, RUNS, purchase_id=purchase_id)
                num_delivered += delivered(machine, ticket)
                break
            except OutcomeUnknown:
                unknown = True
            except (TransientFailure, CredentialsRefused):
                clock.now += SETTLE_S
        server.faults.clear()
    return num_delivered


def test_a_storm_of_faults(ibm: Server, machine: IBMQuantum, clock: Clock) -> None:
    assert storm(ibm, machine, clock, random.Random(5), num_purchases=8) == 8
    report = ibm.account.report()
    assert report["doubles"] == {}
    assert report["num_jobs"] == 8


if __name__ == "__main__":  # python -m tests.backends.test_ibm_faults NUM_PURCHASES SEED
    import tempfile
    from pathlib import Path
    from threading import Thread

    with tempfile.TemporaryDirectory() as folder, Server(0, [MACHINE], Path(folder)) as here:
        Thread(target=here.serve_forever, daemon=True).start()
        os.environ.update(here.environment, XDG_CACHE_HOME=folder, USAGE_DATA_OPT_OUT="True")
        own_clock = Clock()
        one = IBMQuantum(MACHINE, clock=own_clock)
        one.refresh()
        wanted, seed = int(sys.argv[1]), int(sys.argv[2])
        got = storm(here, one, own_clock, random.Random(seed), num_purchases=wanted)
        seen = here.account.report()
        faults = here.faults.injected
        print(f"{got}/{wanted} delivered, {len(seen['doubles'])} doubles, {sum(faults.values())} faults: {faults}")
        here.shutdown()
