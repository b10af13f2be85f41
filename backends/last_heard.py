"""What far-away devices last said about themselves: one small JSON file each, in the user's cache folder.

Other processes of this user, and the next start, then know a device without asking. A file that is missing, damaged or
of another version is as if nothing had been heard. Nothing secret is kept.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from backends.backend import Availability, Device
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.pricing import Price

T = TypeVar("T")


def path_of(name: str) -> Path:
    """File of the device called ``name``."""
    from platformdirs import user_cache_path

    return user_cache_path("qorch") / "devices" / f"{name}.json"


def heard_when(name: str) -> int | None:
    """When that was, as the file system counts; changes whenever something new was heard. None: never."""
    with suppress(OSError):
        return path_of(name).stat().st_mtime_ns
    return None


def recall(name: str, record: type[T]) -> T | None:
    """What was heard last, if it still fits ``record``."""
    import msgspec

    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path_of(name).read_bytes(), type=record)
    return None


def keep(name: str, record: object) -> None:
    """Replace what was heard; a reader sees the old record or the new one. A folder that is read-only is no error."""
    import msgspec

    path = path_of(name)
    fresh = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.replace(path)


def unheard(name: str, why: str, *, price: Price, sdk_version: str) -> Device:
    """A device of which nothing is known: no qubits, offline, and why."""
    return Device(
        name=name,
        kind="qpu",
        num_qubits=0,
        max_active_qubits=0,
        basis_gates=(),
        coupling=(),
        clifford_only=False,
        dynamic=False,
        max_gates=None,
        calibration=None,
        cost_curve=None,
        price=price,
        power_w=SUPERCONDUCTING_SYSTEM_POWER_W,
        sdk_version=sdk_version,
        opt_in=True,
        availability=Availability("offline", why),
    )
