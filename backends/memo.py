"""What a faraway device last said about itself, kept in the user's cache folder.

Workers, their children and the command line are processes of their own, and none of them may ask a provider just to
know what a device is: whoever asked writes the answer here. Only a :class:`Device` is kept, never a credential.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from backends.backend import Device

FOLDER_VARIABLE = "QORCH_CACHE_DIR"


def recall(name: str) -> Device | None:
    """The device as last written; None if nothing readable was: what cannot be read is asked for again."""
    import msgspec

    try:
        device = msgspec.json.decode(_path(name).read_bytes(), type=Device)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return device if device.name == name else None


def keep(device: Device) -> None:
    """Write the device down, all of it or nothing. A folder that cannot be written to costs the memory alone."""
    import msgspec

    path = _path(device.name)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.stem)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(device))
        Path(draft).replace(path)


def _path(name: str) -> Path:
    from platformdirs import user_cache_path

    folder = os.environ.get(FOLDER_VARIABLE)
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return (Path(folder) if folder else user_cache_path("qorch")) / "devices" / f"{safe}.json"
