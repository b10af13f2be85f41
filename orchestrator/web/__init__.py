"""The HTTP interface: the same questions as :class:`orchestrator.transport.Transport`, as JSON under ``/v1``."""
