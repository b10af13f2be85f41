"""Is a vendor's SDK there, and which version? Answered without importing it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from backends.errors import DependencyNotInstalled


def sdk_version(backend: str, module: str, distribution: str, extra: str) -> str:
    """Version of an installed SDK.

    Args:
        backend: name of the backend that needs it.
        module: its top-level module.
        distribution: the package that does the work, as pip names it.
        extra: our extra that installs it.

    Raises:
        DependencyNotInstalled: module or package is missing; the message is the command that installs it.
    """
    try:
        found = version(distribution)
    except PackageNotFoundError as error:
        raise DependencyNotInstalled(backend, module, extra) from error
    if find_spec(module) is None:
        raise DependencyNotInstalled(backend, module, extra)
    return found
