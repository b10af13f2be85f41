"""The trip to providers through their own clients: answers are lost, children die, and nothing is bought twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from qiskit import QuantumCircuit

from backends import BACKENDS
from orchestrator import Client
from orchestrator.settings import Settings
from tests.faults.stack import until
from tests.servers import braket
from tests.servers.ibm_runtime import Server

PRICES = "backend,per_task_usd,per_shot_usd,per_second_usd,date,source\nibm_*,,,1.6,2026-11-21,our contract\n"


@dataclass(frozen=True)
class Provider:
    """A device behind its vendor's client.

    Attributes:
        lose: the answer to the next order is lost, after it was accepted.
        sold: how often each purchase was bought.
    """

    backend: str
    lose: Callable[[], Any]
    sold: Callable[[], dict[str, int]]


@pytest.fixture
def garnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with braket.serving() as address:
        for name, value in address.environment(tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        lost = {"operation": "CreateQuantumTask", "kind": "accept_then_close", "times": 1}
        yield Provider(
            "braket_garnet", lambda: address.admin("faults", [lost]), lambda: dict(address.admin("state")["bought"])
        )


@pytest.fixture
def jakarta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with Server(0, ["ibm_jakarta"], tmp_path) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        more = {"QORCH_IBM_BACKEND": "ibm_jakarta", "QORCH_IBM_SETTLE_S": "0.5", "XDG_CACHE_HOME": str(tmp_path)}
        for name, value in (server.environment | more | {"HOME": str(tmp_path), "USAGE_DATA_OPT_OUT": "True"}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(
            BACKENDS, "ibm_jakarta", "backends.ibm:ibm_jakarta"
        )  # which children read from their setting
        yield Provider(
            "ibm_jakarta",
            lambda: server.faults.add(kind="accept_then_drop"),
            lambda: dict(server.account.report()["purchases"]),
        )
        server.shutdown()
        thread.join()


def end_children() -> None:
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended already; a zombie is one of these
            if "workers.child" in " ".join(child.cmdline()):
                child.kill()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["garnet", "jakarta"])
def test_lost_answers_and_dying_children_buy_nothing_twice(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    provider: Provider = request.getfixturevalue(name)
    prices = tmp_path / "prices.csv"
    prices.write_text(PRICES)
    settings = Settings(
        data_dir=tmp_path / "data",
        backends=(provider.backend,),
        prices=prices,
        heartbeat_s=0.3,
        remote_poll_s=0.2,
        remote_timeout_s=20.0,
    )
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure_all()
    with Client(settings=settings) as client:
        until(lambda: client.backends()[0].device.availability.state == "online", 60.0, "the device was asked")
        provider.lose()
        job = client.submit(bell, shots=200, pin=provider.backend)
        kinds = []
        for event in job.events(timeout=120.0):
            kinds.append(event.kind)
            if event.kind == "sent":
                end_children()  # before anybody asks how it stands
        result = job.result(timeout=60.0)
    assert "outcome_unknown" in kinds
    assert kinds.count("sent") == 1
    assert sum(result.counts.values()) == 200
    assert result.counts["00"] + result.counts["11"] > 150
    assert result.measurement.cost_usd > 0.0
    assert set(provider.sold().values()) == {1}
