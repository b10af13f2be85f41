"""IBM's machines through the real client: calibration, runs, results, limits, credentials, secrets."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter

import backends
from backends import last_heard
from backends.backend import TranspileOptions
from backends.errors import (
    BackendError,
    CalibrationMissing,
    CredentialsMissing,
    CredentialsRefused,
    DeviceUnavailable,
    ExecutionFailed,
    TransientFailure,
    UnknownBackend,
    UnsupportedCircuit,
)
from backends.ibm import IBMQuantum, to_device
from backends.remote import Delivery, RemoteBackend, RemoteState
from circuits.family import Run
from tests.servers.ibm_account import API_KEY, CRN
from tests.servers.ibm_runtime import Server

MACHINE = "ibm_jakarta"
OPTIONS = TranspileOptions()


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def ran(machine: IBMQuantum, circuit: QuantumCircuit, *runs: Run, memory: bool = False) -> Delivery:
    ticket = machine.submit(machine.prepare([circuit], OPTIONS), runs, purchase_id="p")
    assert machine.poll(ticket).state is RemoteState.DONE
    return machine.fetch(ticket, runs, memory=memory)


def test_a_machine_that_is_named_is_registered_and_says_that_it_was_never_asked(tmp_path: Path) -> None:
    program = (
        "import sys, json, backends\n"
        "device = backends.load('ibm_fez').device()\n"
        "heavy = [m for m in ('qiskit', 'qiskit_ibm_runtime', 'requests') if m in sys.modules]\n"
        "print(json.dumps([device.name, device.kind, device.opt_in, device.availability.state, heavy]))\n"
    )
    environment = os.environ | {"QORCH_IBM_BACKEND": "ibm_torino, ibm_fez", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["ibm_fez", "qpu", True, "offline", []]


def test_nothing_is_prepared_for_a_machine_that_was_never_asked(ibm: Server) -> None:
    machine = IBMQuantum(MACHINE)
    assert isinstance(machine, RemoteBackend)
    with pytest.raises(DeviceUnavailable, match="never asked"):
        machine.prepare([bell()], OPTIONS)


def test_what_was_refreshed_is_known_to_other_processes_and_goes_with_the_calibration(
    ibm: Server, machine: IBMQuantum
) -> None:
    first = machine.device()
    assert (first.num_qubits, first.max_shots, first.dynamic) == (7, 100_000, True)
    assert (first.availability.state, first.availability.pending_jobs) == ("online", 3)
    other = IBMQuantum(MACHINE)
    assert other.device() == first
    assert first.coupling is not None
    assert (1, 3) in first.coupling
    for gate in ibm.account.machines[MACHINE].properties["gates"]:
        if sorted(gate["qubits"]) == [1, 3]:
            gate["parameters"][0]["value"] = 1.0
    out_of_order = {"name": "operational", "unit": "", "value": 0, "date": "2026-01-01T00:00:00Z"}
    ibm.account.machines[MACHINE].properties["qubits"][6].append(out_of_order)
    second = machine.refresh()
    assert second.coupling is not None
    assert {(1, 3), (5, 6)}.isdisjoint(second.coupling), "a dead edge and a qubit that is out of order"
    assert second.target_version != first.target_version
    assert other.device() == second


@pytest.mark.parametrize(
    ("said", "state"),
    [({"operational": False, "status": "maintenance"}, "offline"), ({"status": "internal"}, "paused")],
)
def test_a_machine_that_takes_no_work_is_said_to(
    ibm: Server, machine: IBMQuantum, said: dict[str, Any], state: str
) -> None:
    prepared = machine.prepare([bell()], OPTIONS)
    vars(ibm.account.machines[MACHINE]).update(said)
    assert machine.refresh().availability.state == state
    assert said["status"] in machine.device().availability.why
    if state == "offline":
        with pytest.raises(DeviceUnavailable, match="maintenance"):
            machine.submit(prepared, [Run(10)], purchase_id="p")
        assert ibm.account.report()["num_jobs"] == 0
    else:
        assert machine.submit(prepared, [Run(10)], purchase_id="p").remote_ids


def test_a_plan_without_time_is_refused_before_anything_is_sent(ibm: Server, machine: IBMQuantum) -> None:
    ibm.account.used_up = True
    with pytest.raises(DeviceUnavailable, match="used up"):
        machine.submit(machine.prepare([bell()], OPTIONS), [Run(10)], purchase_id="p")
    assert ibm.account.report()["num_jobs"] == 0


def test_fractional_gates_and_unknown_ones_are_left_out(ibm: Server) -> None:
    where = ibm.account.machines[MACHINE]
    extra = [{"gate": name, "qubits": [0, 2], "parameters": []} for name in ("rzz", "measure_2")]
    device = to_device(
        MACHINE,
        where.configuration | {"basis_gates": [*where.configuration["basis_gates"], "rx", "rzz", "measure_2"]},
        where.properties | {"gates": where.properties["gates"] + extra},
        {"operational": True, "status_msg": "active", "pending_jobs": 0},
        heard_at=5.0,
    )
    assert device.basis_gates == ("cx", "id", "rz", "sx", "x", "reset")
    assert device.coupling is not None
    assert (0, 2) not in device.coupling
    assert device.availability.heard_at == 5.0


def test_runs_come_back_in_their_order_with_times_and_circuits(ibm: Server, machine: IBMQuantum) -> None:
    delivery = ran(machine, bell(), Run(300), Run(40), memory=True)
    execution = delivery.execution
    assert [sum(counts.values()) for counts in execution.counts] == [300, 40]
    assert set(execution.counts[0]) == {"00", "11"}
    assert execution.memory is not None
    assert [dict(Counter(shots)) for shots in execution.memory] == list(execution.counts)
    assert delivery.billed_s == pytest.approx(0.5)
    assert (execution.device_s, execution.queue_s) == (0.0, 0.0)
    assert delivery.compiled is not None
    assert "OPENQASM 3" in delivery.compiled[0]
    assert "cx $" in delivery.compiled[0]


def test_parameters_travel_by_name_and_share_a_circuit(ibm: Server, machine: IBMQuantum) -> None:
    theta, phi = Parameter("theta"), Parameter("phi")
    circuit = QuantumCircuit(2, 2)
    circuit.rx(theta, 0)
    circuit.ry(phi, 1)
    circuit.measure([0, 1], [0, 1])
    pi = 3.141592653589793
    angles = [(0.0, 0.0), (pi, 0.0), (0.0, pi), (pi, pi)]
    runs = [Run(50 + index // 3, 0, {"theta": a, "phi": b}) for index, (a, b) in enumerate(angles)]
    delivery = ran(machine, circuit, *runs)
    assert delivery.execution.counts == ({"00": 50}, {"01": 50}, {"10": 50}, {"11": 51})
    (job,) = ibm.account.jobs.values()
    assert len(job.params["pubs"]) == 2, "the circuit is sent once for equally many shots"
    with pytest.raises(ExecutionFailed, match="theta"):
        machine.submit(machine.prepare([circuit], OPTIONS), [Run(10, 0, {"phi": 0.0})], purchase_id="q")


def test_bits_of_several_registers_and_of_none_find_their_places(machine: IBMQuantum) -> None:
    first, second = ClassicalRegister(2, "b"), ClassicalRegister(3, "a")
    circuit = QuantumCircuit(QuantumRegister(4, "q"), first, second)
    circuit.add_bits([type(first[0])()])
    circuit.x([0, 3])
    circuit.measure(3, second[0])  # classical bit 2
    circuit.measure(0, 5)  # in no register
    circuit.measure(1, first[1])
    assert ran(machine, circuit, Run(20)).execution.counts == ({"100100": 20},)


def test_circuits_with_feed_forward_run(machine: IBMQuantum) -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    assert ran(machine, circuit, Run(30)).execution.counts == ({"11": 30},)


def test_work_waits_runs_and_ends_and_is_known_to_another_process(ibm: Server, machine: IBMQuantum) -> None:
    ibm.account.hold = True
    prepared = machine.prepare([bell()], OPTIONS)
    tickets = [machine.submit(prepared, [Run(10)], purchase_id=name) for name in ("one", "two")]
    other = IBMQuantum(MACHINE)
    assert [other.poll(ticket).position for ticket in tickets] == [1, 2]
    with pytest.raises(TransientFailure, match="not ended"):
        other.fetch(tickets[0], [Run(10)])
    ibm.account.jobs[tickets[0].remote_ids[0]].status = "Running"
    assert other.poll(tickets[0]).state is RemoteState.RUNNING
    ibm.account.hold = False
    assert other.poll(tickets[1]).state is RemoteState.DONE
    assert sum(other.fetch(tickets[1], [Run(10)]).execution.counts[0].values()) == 10


def test_cancelling_reaches_ibm_and_what_has_ended_stays(ibm: Server, machine: IBMQuantum) -> None:
    ibm.account.hold = True
    prepared = machine.prepare([bell()], OPTIONS)
    ticket = machine.submit(prepared, [Run(10)], purchase_id="p")
    machine.cancel(ticket)
    assert machine.poll(ticket).state is RemoteState.CANCELLED
    machine.cancel(ticket)
    with pytest.raises(ExecutionFailed, match="cancelled"):
        machine.fetch(ticket, [Run(10)])
    ibm.account.hold = False
    done = machine.submit(prepared, [Run(10)], purchase_id="q")
    assert machine.poll(done).state is RemoteState.DONE
    machine.cancel(done)
    assert machine.poll(done).state is RemoteState.DONE


def test_a_job_that_fails_says_why_in_ibms_words(ibm: Server, machine: IBMQuantum) -> None:
    ibm.account.fail_next = 1
    ticket = machine.submit(machine.prepare([bell()], OPTIONS), [Run(10)], purchase_id="p")
    status = machine.poll(ticket)
    assert status.state is RemoteState.FAILED
    assert "cooling" in status.message
    with pytest.raises(ExecutionFailed, match="cooling"):
        machine.fetch(ticket, [Run(10)])


def test_limits_are_refused_in_words_before_anything_is_sent(ibm: Server, machine: IBMQuantum) -> None:
    prepared = machine.prepare([bell()], OPTIONS)
    with pytest.raises(ExecutionFailed, match=r"at most 100000 shots.*run 0 asks for 100001.*share"):
        machine.submit(prepared, [Run(100_001)], purchase_id="p")
    wide = QuantumCircuit(8)
    wide.h(range(8))
    wide.measure_all()
    with pytest.raises(UnsupportedCircuit, match="7 qubits, the circuit uses 8"):
        machine.prepare([wide], OPTIONS)
    opaque = QuantumCircuit(1, 1)
    opaque.append(QuantumCircuit(1, name="riddle").to_gate().copy("riddle"), [0])
    opaque.data[0].operation.definition = None
    opaque.measure(0, 0)
    with pytest.raises(UnsupportedCircuit, match="riddle"):
        machine.prepare([opaque], OPTIONS)
    unlowered = QuantumCircuit(2)
    unlowered.ryy(0.3, 0, 1)
    unlowered.measure_all()
    with pytest.raises(ExecutionFailed, match="client refuses"):
        machine.submit([unlowered], [Run(1)], purchase_id="p")
    assert ibm.account.report()["num_jobs"] == 0


def test_documents_that_cannot_be_read_are_refused(ibm: Server, machine: IBMQuantum) -> None:
    before = machine.device()
    del ibm.account.machines[MACHINE].properties["last_update_date"]
    with pytest.raises(CalibrationMissing, match="last_update_date"):
        machine.refresh()
    assert machine.device() == before
    last_heard.path_of(MACHINE).write_text("{", encoding="utf-8")
    assert IBMQuantum(MACHINE).device().availability.state == "offline"


def test_without_credentials_the_remedy_is_named(ibm: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QISKIT_IBM_TOKEN")
    machine = IBMQuantum(MACHINE)
    for attempt in (machine.warm_up, machine.refresh):
        with pytest.raises(CredentialsMissing, match="QISKIT_IBM_TOKEN"):
            attempt()


def test_a_wrong_key_or_instance_is_refused(ibm: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QORCH_IBM_INSTANCE", CRN.replace("0123456789abcdef", "fedcba9876543210"))
    with pytest.raises(CredentialsRefused, match="does not have access"):
        IBMQuantum(MACHINE).refresh()
    monkeypatch.delenv("QORCH_IBM_INSTANCE")
    ibm.account.key_is_good = False
    with pytest.raises(CredentialsRefused, match="API key could not be found"):
        IBMQuantum(MACHINE).refresh()


def test_without_an_instance_the_account_is_searched(ibm: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    assert IBMQuantum(MACHINE).refresh().num_qubits == 7


def test_a_machine_that_ibm_does_not_offer_is_said_to(ibm: Server) -> None:
    with pytest.raises(UnknownBackend, match=r"ibm_nowhere.*offers: ibm_jakarta.*QORCH_IBM_BACKEND"):
        IBMQuantum("ibm_nowhere").refresh()
    with pytest.raises(UnknownBackend, match="QORCH_IBM_BACKEND"):
        backends.ibm.__getattr__("../etc")


def test_nothing_that_is_logged_raised_or_kept_holds_a_secret(
    ibm: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    def note(attempt: Any) -> None:
        try:
            attempt()
        except BackendError as error:
            said.append(str(error))

    machine = IBMQuantum(MACHINE)
    ran(machine, bell(), Run(5)) if machine.refresh() else None
    for status in (400, 401, 403, 429, 500):
        ibm.faults.add(kind="refuse", method="GET", path=".", status=status, times=4)
        note(machine.refresh)
        ibm.faults.clear()
    keys = {API_KEY, *ibm.account.tokens}
    ibm.account.key_is_good = False
    note(IBMQuantum(MACHINE).refresh)
    ibm.account.key_is_good = True
    ibm.faults.add(kind="refuse", path="token", status=500, times=4)
    note(IBMQuantum(MACHINE).refresh)
    assert len(said) >= 6
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for text in (*said, caplog.text, *written):
        assert not [key for key in keys if key in text]


def test_the_server_can_be_had_as_a_program() -> None:
    command = [sys.executable, "-m", "tests.servers.ibm_runtime", "--machine", MACHINE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin") as answer:
            assert json.load(answer)["num_jobs"] == 0
        server.terminate()
