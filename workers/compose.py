"""Where an address becomes a live transport: the door that :class:`orchestrator.Client` knocks at."""

from __future__ import annotations

from circuits.parameters import short
from orchestrator.errors import ConfigurationError
from orchestrator.logs import shown
from orchestrator.settings import Settings
from orchestrator.transport import Transport
from workers.folder import FolderLock


def connect(url: str | None, settings: Settings) -> Transport:
    """The transport behind an address: what :class:`orchestrator.Client` calls.

    Args:
        url: address of a cluster's broker, or of an HTTP server; None for the one in the settings, or that of the
            cluster which runs in the data folder, or else the embedded orchestrator.
        settings: limits, folders and the store's address.

    Raises:
        ConfigurationError: no such kind of address.   ServerUnreachable: nothing answers there.
    """
    try:
        address = url or settings.url or FolderLock(settings.data_dir).cluster()
        if address is None:
            from workers.local import LocalTransport

            return LocalTransport(settings)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the data folder {short(str(settings.data_dir))} cannot be used: {error}; "
            "set QORCH_DATA_DIR or --data-dir to a folder that you may write to"
        ) from error
    if not isinstance(address, str):
        raise ConfigurationError(f"a cluster's address is a text such as redis+socket:///…; got {short(address)}")
    if address.partition("://")[0] in ("redis", "rediss", "redis+socket", "redis+unix", "redis+tcp", "unix"):
        from workers.cluster import ClusterTransport

        return ClusterTransport(address, settings)
    if address.partition("://")[0] in ("http", "https"):
        return _over_http(address, settings)
    raise ConfigurationError(
        "a client speaks to http://…, https://…, redis://…, redis+socket:///… or, without an address, to itself; "
        f"got {shown(address)[:80]!r}"
    )


def _over_http(url: str, settings: Settings) -> Transport:
    try:
        from orchestrator.http_transport import HttpTransport
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise ConfigurationError(
            "an address over HTTP needs 'httpx', which is not installed: pip install 'qorch[http]'"
        ) from error
    return HttpTransport(url, settings)
