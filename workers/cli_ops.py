"""The commands of whoever runs it: what is out of service, what happened to a job, what is kept and for how long.

Those about the fleet and about one job go through a client. Removing, exporting and backing up go to the store itself,
that of the data folder or of QORCH_STORE_URL: whoever may write there may do it.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import connected, note, print_json, rendering, settings_of, show
from workers.cli_jobs import JobId, wanted_state, watching
from workers.cli_options import Common

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.sql.store import SqlStore
    from orchestrator.store import Announcement, Switch

PRUNED_AT_ONCE = 1000
"""Jobs, or measurements, that are removed in one transaction."""

SPANS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}

Name = Annotated[str, typer.Argument(metavar="NAME", help="A backend, or a worker as NAME@HOST.")]


# ── in service, and out of it ─────────────────────────────────────────────────────────────────────────────────────────
def drain(name: Name, common: Common) -> None:
    """Take a backend or worker out of service gently: it ends what it has and gets nothing new."""
    _switch(common, name, "drained")


def disable(name: Name, common: Common) -> None:
    """Take a backend out of service at once: what has not begun there is placed elsewhere, too."""
    if "@" in name:
        raise typer.BadParameter(
            f"a worker can be drained, not disabled: `qorch drain {name[:80]}` lets it end what it runs; "
            "end its process to stop that, too",
            param_hint="NAME",
        )
    _switch(common, name, "disabled")


def resume(name: Name, common: Common) -> None:
    """Put a backend or worker back into service."""
    _switch(common, name, "on")


def workers(common: Common) -> None:
    """List the workers: what they serve, when they were last heard of, and whether they are in service."""
    with connected(common) as client:
        found = worker_records(client.backends(), client.switches(), time.time())
    show(common, found, lambda: _workers(found))


def _switch(common: Common, name: str, mode: str) -> None:
    with connected(common) as client:
        switch = client.switch(name, mode)
        served = [one for one in client.backends() if name in (one.backend, one.worker)]
    show(common, switch, lambda: f"{name} is {'in service' if mode == 'on' else mode}")
    if not served and switch.kind == "backend":
        note("no worker serves it at this moment; it holds as soon as one does")


def worker_records(roll: list[Announcement], switches: list[Switch], now: float) -> list[dict[str, Any]]:
    """Workers by name, with those that are out of service and gone."""
    modes = {switch.name: switch.mode for switch in switches if switch.kind == "worker"}
    closed = {switch.name: switch.mode for switch in switches if switch.kind == "backend"}
    found = []
    for name in sorted({*modes, *(one.worker for one in roll)}):
        served = [one for one in roll if one.worker == name]
        heard_s = min((now - one.heartbeat_at for one in served), default=None)
        found.append(
            {
                "worker": name,
                "mode": modes.get(name, "on"),
                "slots": served[0].slots if served else 0,
                "backends": {one.backend: closed.get(one.backend, "on") for one in served},
                "heartbeat_age_s": None if heard_s is None else max(0.0, heard_s),
            }
        )
    return found


def _workers(found: list[dict[str, Any]]) -> RenderableType:
    from rich.text import Text

    from workers.render_parts import age, table

    if not found:
        return Text("no worker is there; `qorch up` starts some", "dim")
    made = table("worker", "mode", "slots", "heard of", "backends", right=("slots",))
    for one in found:
        silent = one["heartbeat_age_s"] is None
        heard = Text("not there", "yellow") if silent else Text(f"{age(one['heartbeat_age_s'])} ago")
        served = [name if mode == "on" else f"{name} ({mode})" for name, mode in one["backends"].items()]
        mode = Text(one["mode"], "green" if one["mode"] == "on" else "yellow")
        made.add_row(Text(one["worker"], "bold"), mode, str(one["slots"]), heard, ", ".join(served))
    return made


# ── what happened to a job ────────────────────────────────────────────────────────────────────────────────────────────
def logs(
    job_id: JobId,
    common: Common,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
) -> None:
    """Show a job's timeline and log: its shares over time, what happened, and what was said while it ran."""
    from orchestrator.errors import JobTimeout

    found = []
    with watching(common, job_id) if follow else connected(common) as client:
        from workers import render_timeline

        handle = client.job(job_id)
        job = handle.status()
        try:
            for event in handle.events(timeout=None if follow else 0.0):
                found.append(event)
                if follow and not common.as_json:
                    show(common, None, lambda: render_timeline.line(found[-1], job))
        except JobTimeout:
            if follow:
                raise
        job, parts = handle.status(), handle.assignments()
    if common.as_json:
        print_json(found)
    elif follow:
        rendering().console().print("", render_timeline.gantt(job, parts, found, time.time()) or "")
    else:
        show(common, None, lambda: render_timeline.timeline(job, parts, found, time.time()))


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────────────────
def prune(
    common: Common,
    older_than: Annotated[
        str, typer.Option(metavar="30d", help="How long ago they ended: a number and s, m, h, d, w.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them, remove nothing.")] = False,
    keep_failed: Annotated[bool, typer.Option("--keep-failed", help="Those that failed stay.")] = False,
    telemetry: Annotated[
        bool, typer.Option("--telemetry", help="Measurements that the stored cost model has in it go, too.")
    ] = False,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="SQLite: shrink the file afterwards; who writes meanwhile waits.")
    ] = False,
) -> None:
    """Remove jobs that ended long ago, with all that is theirs alone. It can be interrupted and repeated."""
    age_s = span_s(older_than, "--older-than")
    with store_of(common) as store:
        before = store.now() - age_s
        num_old = store.prunable(before=before, keep_failed=keep_failed)
        if dry_run:
            show(common, {"jobs": num_old, "removed": False}, lambda: f"{num_old} jobs would be removed")
            return
        from orchestrator.cost_model.model import FOLD_VERSION

        num_jobs = num_seen = 0
        with _progress(common, num_old) as tell:
            for gone in _until_none(lambda: store.prune(before=before, most=PRUNED_AT_ONCE, keep_failed=keep_failed)):
                num_jobs += gone
                tell(num_jobs)
            if telemetry:
                folded = partial(store.prune_telemetry, FOLD_VERSION, before=before, most=PRUNED_AT_ONCE)
                num_seen = sum(_until_none(folded))
            num_programs = store.prune_programs()
        if vacuum:
            _vacuum(store)
    measured = f", {num_seen} measurements" if telemetry else ""
    record = {"jobs": num_jobs, "measurements": num_seen, "programs": num_programs, "removed": True}
    show(common, record, lambda: f"removed {num_jobs} jobs{measured} and what was known of {num_programs} programs")


def export(
    common: Common,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    since: Annotated[
        str | None, typer.Option(metavar="30d|DATE", help="Only jobs submitted since: an age, or a date in UTC.")
    ] = None,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    form: Annotated[str, typer.Option("--format", metavar="parquet|jsonl", help="Of the files.")] = "parquet",
) -> None:
    """Write jobs, assignments, results, measurements, decisions and events to files that other tools read."""
    from orchestrator.sql.archive import Wanted
    from workers import export as exporter

    wanted_form = exporter.writer_of(form)
    with store_of(common) as store:
        submitted_since = None if since is None else moment(since, store.now())
        wanted = Wanted(submitted_since, None if state is None else wanted_state(state), tag)
        with _progress(common, None) as tell:
            manifest = exporter.export(store, folder, wanted, wanted_form, tell=tell)
    show(common, manifest, lambda: _exported(folder, manifest))


def backup(
    common: Common, file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.")]
) -> None:
    """Copy an SQLite store as it is at one moment, while it is in use."""
    from orchestrator.errors import ConfigurationError, StoreUnavailable

    if file.exists():
        raise ConfigurationError(f"{file} is there already; name a new file, so that no older copy is lost")
    part = file.with_name(f"{file.name}.part")
    with store_of(common) as store:
        try:
            store.backup(part)
            part.rename(file)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store was not copied to {file}: {error}; nothing was left there") from error
        finally:
            part.unlink(missing_ok=True)
    size_bytes = file.stat().st_size
    show(common, {"file": str(file), "size_bytes": size_bytes}, lambda: f"{file}: {size_bytes / 1e6:.1f} MB")


def span_s(text: str, option: str) -> float:
    """``30d`` or ``12h`` in seconds.

    Raises:
        typer.BadParameter: it cannot be read so.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", text.strip())
    if match is None:
        raise typer.BadParameter(f"wanted a number with s, m, h, d or w, such as 30d; got {text!r}", param_hint=option)
    return float(match[1]) * SPANS_S[match[2]]


def moment(text: str, now: float) -> float:
    """An age or a date as seconds since the epoch."""
    from datetime import UTC, datetime

    if re.fullmatch(r"[\d.]+[smhdw]", text.strip()):
        return now - span_s(text, "--since")
    try:
        said = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise typer.BadParameter(
            f"wanted an age such as 30d or a date such as 2026-01-31; got {text!r}", param_hint="--since"
        ) from error
    return (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()


def _until_none(remove: Callable[[], int]) -> Iterator[int]:
    """Remove until nothing is left, with pauses as long as the work: others write to the store, too."""
    pause = threading.Event()
    while True:
        began = time.monotonic()
        gone = remove()
        if not gone:
            return
        yield gone
        pause.wait(time.monotonic() - began)


def _vacuum(store: SqlStore) -> None:
    from orchestrator.errors import StoreUnavailable

    try:
        store.vacuum()
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"the jobs are gone, but the file could not be shrunk: {error}; it needs as much free disk again, and a "
            "moment when nobody writes"
        ) from error


def _exported(folder: Path, manifest: dict[str, Any]) -> RenderableType:
    from rich.text import Text

    from workers.render_parts import number, spaced, table

    made = table("table", "rows", "file", right=("rows",))
    for name, one in manifest["tables"].items():
        made.add_row(Text(name, "bold"), number(one["rows"]), one["file"])
    return spaced(made, Text(f"in {folder}; manifest.json has every column with its type", "dim"))


class _Tell:
    """Shows how far something is."""

    def __init__(self, status: Any, total: int | None) -> None:
        self._status = status
        self._total = total

    def __call__(self, num_jobs: int) -> None:
        if self._status is not None:
            self._status.update(f"{num_jobs} jobs" if self._total is None else f"{num_jobs} of {self._total} jobs")


@contextmanager
def _progress(common: Common, total: int | None) -> Iterator[_Tell]:
    if common.as_json:
        yield _Tell(None, total)
        return
    with rendering().console(stderr=True).status("looking") as status:
        yield _Tell(status, total)


@contextmanager
def store_of(common: Common) -> Iterator[SqlStore]:
    """The store of the data folder or of QORCH_STORE_URL."""
    from orchestrator.errors import ConfigurationError
    from orchestrator.sql.store import SqlStore

    settings = settings_of(common)
    if settings.store_url is None and not (settings.data_dir / "qorch.sqlite").exists():
        raise ConfigurationError(
            f"there is no store in {settings.data_dir}; say where it is: --data-dir, QORCH_DATA_DIR or QORCH_STORE_URL"
        )
    store = SqlStore(settings.resolved_store_url)
    try:
        yield store
    finally:
        store.close()
