"""The commands about the machine: what there is, what was learned, and how to start a cluster."""

from __future__ import annotations

import re
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import connected, fleet_rendering, log_as_set, note, rendering, settings_of, show
from workers.cli_options import Common, names
from workers.cli_server import require_server

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.settings import Settings
    from orchestrator.store import Announcement

PLACEMENT = "placement"
"""Name of the worker that places; `qorch up` starts it beside the others."""

HTTP = "http"
"""Name of the process that serves the HTTP interface beside them."""


def backends(
    common: Common,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that nobody serves, too, with what they would need.")
    ] = False,
) -> None:
    """List the backends: who serves them, their state, queue, calibration, price, power and energy model."""
    with connected(common) as client:
        found = client.backends() or _embedded_backends(common)
        modes = {switch.name: switch.mode for switch in client.switches() if switch.kind == "backend"}
    from backends.energy import ENERGY_MODELS, model_of
    from orchestrator.records import to_plain
    from workers.equipment import unserved

    others = unserved({one.backend for one in found}, settings_of(common))
    record = []
    for one in found:
        model = model_of(one.device)
        known = {"model": model} | to_plain(ENERGY_MODELS[model])
        record.append(to_plain(one) | {"mode": modes.get(one.backend, "on"), "energy": known})
    if everything:
        record += [{"worker": None, "mode": "off"} | to_plain(one) for one in others]

    def table() -> RenderableType:
        listed: dict[str, Any] = {"others": others} if everything else {"num_others": len(others)}
        width = rendering().console().width
        shown: RenderableType = fleet_rendering().backends(found, time.time(), modes, width=width, **listed)
        return shown

    show(common, record, table)


def prices(common: Common) -> None:
    """Show the price tables, with date and source of every row.

    QORCH_PRICES may name a CSV of your own, laid over the built-in table. Its header is
    backend,per_task_usd,per_shot_usd,per_second_usd,date,source; a backend may be a pattern such as ibm_*, and the
    first row that fits counts. A device whose price is unknown takes no jobs.
    """
    from workers.equipment import price_rows

    found = price_rows(settings_of(common))
    show(common, found, lambda: fleet_rendering().prices(found))


def policies(
    common: Common,
    add: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A checkpoint, or a training's folder, to put on the shelf.")
    ] = None,
) -> None:
    """List the policies that can place a job, trained checkpoints among them."""
    if add is not None:
        from policies.shelf import put

        entry = put(add, settings_of(common).shelf)
        note(f"added {entry.name}: {entry.folder}")
    with connected(common) as client:
        found = client.policies()
        show(common, found, lambda: rendering().policies(found))


def costs(common: Common) -> None:
    """Show what the cost model has learned per family and backend."""
    with connected(common) as client:
        found = client.costs()
        show(common, found, lambda: rendering().costs(found))


def up(
    common: Common,
    flower: Annotated[
        int | None,
        typer.Option(metavar="[PORT]", min=1, max=65535, help="Run Flower too, on the loopback; default 5555."),
    ] = None,
    http: Annotated[
        int | None,
        typer.Option(
            metavar="[PORT]", min=1, max=65535, help="Serve the HTTP interface too, on the loopback; default 8000."
        ),
    ] = None,
    worker: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=GLOB,…", help="A worker and the backends it serves; may be repeated."),
    ] = None,
) -> None:
    """Run Redis and workers on this machine until Ctrl-C or SIGTERM."""
    settings = settings_of(common)
    log_as_set(settings)
    if flower is not None:
        _require_flower()
    if http is not None:
        require_server("fastapi", "uvicorn", "prometheus_client")
    from workers.launch import lanes, running

    served = division(worker, settings) if worker else lanes(settings)
    try:
        with _ended_by_signals(), running(settings, served, flower_port=flower, http_port=http) as url:
            doors = {name: port and f"http://127.0.0.1:{port}" for name, port in (("flower", flower), ("http", http))}
            record = {"url": url, "workers": {PLACEMENT: [], **served}, **doors}
            show(common, record, lambda: rendering().cluster(url, served, **doors))
            threading.Event().wait()
    except _Ended:
        typer.secho("ended", dim=True, err=True)


def worker(
    common: Common,
    name: Annotated[str, typer.Option(help="Unique among the workers of the cluster.")],
    backends: Annotated[str, typer.Option(metavar="A,B|none", help="What it serves; default: all it can.")] = "",
    place: Annotated[bool, typer.Option("--place", help="It also decides placements; one worker should.")] = False,
) -> None:
    """Be one worker of a cluster until a signal ends it."""
    settings = settings_of(common)
    log_as_set(settings, worker=name)
    warnings.filterwarnings("ignore", "You're running the worker with superuser")  # about pickle; ours take JSON alone
    _check_name(name)
    from workers.cluster import work
    from workers.equipment import equipped
    from workers.node import devices_here
    from workers.redis_server import default_redis_url

    here = {} if backends == "none" else devices_here(names([backends]) or settings.backends)
    devices = equipped(here, settings)
    work(settings.url or default_redis_url(settings), settings, name=name, devices=devices, places=place)


def doctor(common: Common) -> None:
    """Look at this machine: what is there, what is missing, what to do about it."""
    settings = settings_of(common)
    from workers.doctor import examine

    checks = list(examine(settings))
    failed = any(check.state == "fail" for check in checks)
    show(common, {"ok": not failed, "checks": checks}, lambda: rendering().checks(checks))
    if failed:
        raise typer.Exit(1)


def division(workers: Sequence[str], settings: Settings) -> dict[str, list[str]]:
    """Which worker serves what.

    Args:
        workers: ``name=glob,glob`` each; the globs are matched against the backends of this machine.

    Raises:
        typer.BadParameter: it cannot be read so, a name is taken, or a glob matches nothing.
    """
    from workers.node import devices_here

    here = list(devices_here(settings.backends))
    found: dict[str, list[str]] = {}
    for item in workers:
        name, equals, globs = item.partition("=")
        if not equals or name in found or name in (PLACEMENT, HTTP):
            raise typer.BadParameter(f"wanted NAME=GLOB,… with a name of its own; got {item!r}", param_hint="--worker")
        _check_name(name)
        served = []
        for glob in names([globs]):
            matching = [backend for backend in here if fnmatchcase(backend, glob)]
            if not matching:
                raise typer.BadParameter(f"{glob!r} matches none of {', '.join(here)}", param_hint="--worker")
            served.extend(matching)
        if not served:
            raise typer.BadParameter(f"{name!r} serves nothing; name its backends", param_hint="--worker")
        found[name] = list(dict.fromkeys(served))
    return found


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise typer.BadParameter(f"a worker's name has letters, digits, - _ . and no more than 64; got {name[:80]!r}")


def _require_flower() -> None:
    from importlib.util import find_spec

    from orchestrator.errors import ConfigurationError

    if find_spec("flower") is None:
        raise ConfigurationError("--flower needs 'flower', which is not installed: pip install 'qorch[flower]'")


class _Ended(Exception):
    """A signal asked this process to end."""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM raise, and let no further one interrupt the tidying up."""

    def end(*_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise _Ended

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _embedded_backends(common: Common) -> list[Announcement]:
    """What an embedded client would serve here."""
    settings = settings_of(common)
    if settings.url is not None:
        return []
    from workers.local import would_serve

    return would_serve(settings)
