"""One worker of a data folder at a time, and whom to join."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from circuits.program import Program
from orchestrator import Client
from orchestrator.errors import ConfigurationError
from orchestrator.settings import Settings
from workers.folder import FolderLock
from workers.launch import running
from workers.redis_bus import RedisBus

TIMEOUT_S = 60.0


def test_one_holds_it_and_the_next_one_waits(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.acquire(wait=False)
    assert not second.acquire(wait=False)
    got = threading.Event()
    heir = threading.Thread(target=lambda: second.acquire(wait=True) and got.set())
    heir.start()
    assert not got.wait(0.1)
    first.release()
    assert got.wait(TIMEOUT_S)
    heir.join()
    second.release()


def test_only_a_living_cluster_is_joined(tmp_path: Path) -> None:
    holder, looker = FolderLock(tmp_path), FolderLock(tmp_path)
    assert looker.cluster() is None
    holder.acquire(wait=False)
    assert looker.cluster() is None, "an embedded client leaves no address"
    holder.release()
    holder.acquire(wait=False, address="redis://:secret@host/0")
    assert looker.cluster() == "redis://:secret@host/0"
    assert stat.S_IMODE((tmp_path / "owner.lock").stat().st_mode) == 0o600
    holder.release()
    assert looker.cluster() is None, "what a dead cluster left behind does not count"


def test_a_client_joins_the_cluster_of_its_folder_and_nobody_works_beside_it(settings: Settings, bell: Program) -> None:
    fleet = settings.model_copy(update={"backends": ("aer_statevector",)})
    with running(fleet, {"one": ["aer_statevector"]}, logs=settings.data_dir / "logs"):
        with Client(settings=fleet) as client:
            assert isinstance(client._transport._pipeline.notifier, RedisBus)  # type: ignore[attr-defined]
            assert sum(client.submit(bell, shots=10).result(TIMEOUT_S).counts.values()) == 10
        with pytest.raises(ConfigurationError, match="a cluster at"), running(fleet, {"two": ["aer_statevector"]}):
            pass
    with Client(settings=fleet) as client:  # the cluster is gone; its jobs are not
        assert len(client.jobs()) == 1
        with pytest.raises(ConfigurationError, match="embedded client works"), running(fleet, {}):
            pass
    assert "worker one" in (settings.data_dir / "logs" / "one.log").read_text()


def test_a_worker_that_cannot_start_is_noticed_at_once(settings: Settings) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"odd \(exit code"),
        running(settings, {"odd": ["no_such_backend"]}, logs=settings.data_dir / "logs"),
    ):
        pass
    assert "no_such_backend" in (settings.data_dir / "logs" / "odd.log").read_text()
