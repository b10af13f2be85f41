"""The two tasks: each wakes the trip where it stands."""

from __future__ import annotations

from collections.abc import Mapping

from celery import Celery

from backends.backend import Device
from orchestrator.broker import EXECUTE_TASK, PLACE_TASK
from orchestrator.pipeline import Pipeline


def register(app: Celery, pipeline: Pipeline, devices: Mapping[str, Device]) -> None:
    """Give the application this worker's pipeline and the devices it serves."""

    def place() -> None:
        while pipeline.place():
            pass

    def execute(backend: str) -> None:
        pipeline.execute(devices, woken_for=backend)  # what is most urgent may wait for another one of this worker

    app.task(name=PLACE_TASK)(place)
    app.task(name=EXECUTE_TASK)(execute)
