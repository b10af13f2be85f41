"""Parquet files: columns in, columns out, and words instead of tracebacks for what is damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.errors import DependencyNotInstalled, InvalidParameter

Columns = dict[str, NDArray[Any]]


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DependencyNotInstalled("logs of an entanglement network", "pyarrow", "export") from error
    return pa, parquet


def write(file: Path, columns: Mapping[str, Any]) -> str:
    """Columns of one length each; tells the file's SHA-256.

    Raises:
        DependencyNotInstalled: pyarrow is missing.
    """
    arrow, parquet = _parquet()
    parquet.write_table(arrow.table({name: arrow.array(np.asarray(each)) for name, each in columns.items()}), file)
    return digest(file)


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read(file: Path, wanted: Mapping[str, type], expected: str | None = None) -> Columns:
    """Columns of a file.

    Args:
        wanted: columns with their dtypes, in any order; others are refused.   expected: SHA-256 of the file.

    Raises:
        InvalidParameter: the file is missing, damaged, or has other columns; the message names file and column.
    """
    _, parquet = _parquet()
    if not file.is_file():
        raise InvalidParameter(f"{file.name}: wanted this file, got none in {file.parent}")
    if expected is not None and digest(file) != expected:
        raise InvalidParameter(f"{file.name}: wanted the file as it was written, got one that has changed since")
    try:
        table = parquet.read_table(file)
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these kinds
        raise InvalidParameter(f"{file.name}: wanted a parquet file, got one that cannot be read: {error}") from None
    for name in [*wanted, *table.column_names]:
        if (name in wanted) != (name in table.column_names):
            listed = ", ".join(wanted)
            raise InvalidParameter(f"{file.name}.{name}: wanted the columns {listed}, got {table.column_names}")
    return {name: _column(file.name, name, table[name], kind) for name, kind in wanted.items()}


def _column(file: str, name: str, column: Any, kind: type) -> NDArray[Any]:
    found = column.to_numpy()
    if column.null_count or not np.issubdtype(found.dtype, np.integer if kind is int else np.number):
        raise InvalidParameter(f"{file}.{name}: wanted {'integers' if kind is int else 'numbers'}, got {column.type}")
    if kind is float and not np.isfinite(found).all():
        raise InvalidParameter(f"{file}.{name}: wanted finite numbers, got others")
    return np.array(found, dtype=np.int64 if kind is int else np.float64)  # of pyarrow: read-only
