"""Who works in a data folder: one embedded client or one cluster, never both.

The lock is the kernel's, on a file; it is released when its holder ends, however it ends. A cluster writes the address
of its broker into the file, so that a client of the same folder joins it instead of waiting beside it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class FolderLock:
    """The right to do the work of a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "owner.lock"
        self._file: IO[str] | None = None

    def acquire(self, *, wait: bool, address: str = "") -> bool:
        """Take it, and leave the address of a cluster there.

        Args:
            wait: sleep until it is free; otherwise False says that it is not.
            address: URL of the broker; empty for an embedded client.
        """
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.close()
            return False
        file.truncate()
        file.write(address)
        file.flush()
        self._file = file
        return True

    def cluster(self) -> str | None:
        """Address of the cluster that holds the folder now; None if nobody does, or an embedded client."""
        if not self._path.exists():
            return None
        with self._open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                return file.read() or None
        return None

    def release(self) -> None:
        """Give it back; the next one who waits gets it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> IO[str]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")  # an address may hold a password
