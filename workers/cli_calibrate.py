"""``qorch calibrate``: how fast this machine's simulators are, measured and kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli_frame import fleet_rendering, note, progress, settings_of, show
from workers.cli_options import Common

if TYPE_CHECKING:
    from backends.curves import Calibrated
    from orchestrator.settings import Settings


def calibrate(
    common: Common,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[BACKEND]...", help="Default: all that are served here.")
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Wide circuits and trajectories, too: minutes a backend.")
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what was measured; measure nothing.")] = False,
) -> None:
    """Measure the cost curves of this machine's simulators, so that estimates begin where its speed is.

    Takes some seconds a backend; what is finished is kept when it is interrupted. A curve counts only if it foretells
    circuits that had no part in its fit better than the built-in one. Workers read the curves as they start.
    """
    settings = settings_of(common)
    from workers.equipment import curves_file

    if reset:
        found = _forgotten(settings, names or [])
        show(common, {"forgotten": found}, lambda: f"forgotten: {', '.join(found) or 'nothing'}")
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # as for the children that do the work
    measured: list[Calibrated] = []
    try:
        measured.extend(
            _measured(settings, names or [], thorough=thorough, quiet=common.as_json)
        )  # one by one, as they come
    except KeyboardInterrupt:
        note(f"interrupted; of {len(measured)} backends the curves are kept")
        raise
    finally:
        file = str(curves_file(settings))
        if measured or not names:
            show(
                common, {"file": file, "backends": measured}, lambda: fleet_rendering().calibrated(measured, file=file)
            )


def _forgotten(settings: Settings, names: Sequence[str]) -> list[str]:
    """Forget the curves of these backends, or all, even a file that cannot be read; what was forgotten."""
    from orchestrator.errors import ConfigurationError
    from workers.equipment import curves_file, read_curves, write_curves

    try:
        known = read_curves(settings)
    except ConfigurationError:
        curves_file(settings).unlink(missing_ok=True)
        return ["an unreadable file"]
    gone = sorted(name for name in known if not names or name in names)
    write_curves(settings, {name: curve for name, curve in known.items() if name not in gone})
    return gone


def _measured(settings: Settings, names: Sequence[str], *, thorough: bool, quiet: bool) -> Iterator[Calibrated]:
    """Measure one backend after the other; a curve is kept as soon as it is there.

    Raises:
        UnknownBackend, DependencyNotInstalled: of a named backend.   typer.BadParameter: it is simulated nowhere here.
    """
    from backends import load
    from backends.curves import QUICK, THOROUGH, sweeps_of
    from backends.curves import calibrate as measure
    from workers.equipment import read_curves, write_curves
    from workers.node import devices_here

    effort = THOROUGH if thorough else QUICK
    devices = devices_here(names or settings.backends)
    for name in names:
        if name in devices and not sweeps_of(devices[name]):
            raise typer.BadParameter(f"{name} simulates nothing on this machine", param_hint="BACKEND")
    read_curves(settings)  # what cannot be read is said before anything takes its time
    with progress(quiet=quiet) as advance:
        for name, device in devices.items():
            if not sweeps_of(device):
                continue
            found = measure(load(name), effort, step=partial(advance, name))
            if found is not None:
                others = {other: curve for other, curve in read_curves(settings).items() if other != name}
                write_curves(settings, others | ({name: found} if found.improved else {}))
                yield found
