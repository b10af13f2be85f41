"""Where unix sockets rest: a path of theirs may have about 100 characters, and some temporary folders need them all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

MAX_FOLDER_BYTES = 50
"""What is left of the 104 bytes of macOS, and of Linux's 108, once our own names stand behind it."""


def short_tempdir() -> Path:
    """The temporary folder of the settings if its name is short enough, else the system's own."""
    usual = Path(tempfile.gettempdir())
    return usual if len(os.fsencode(usual)) <= MAX_FOLDER_BYTES else Path("/tmp")  # noqa: S108 - ours are made private
