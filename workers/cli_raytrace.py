"""The command that traces a picture: a job like any other, with its figures in the end and a PNG if one is wanted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import connected, show
from workers.cli_options import Common

if TYPE_CHECKING:
    from rich.console import RenderableType

    from circuits.raytracing import RayTracing
    from orchestrator import JobHandle, Result

ENGINES = {"sparse": "sparse", "aer": "aer_statevector", "mps": "aer_mps"}
_SHADING_LIGHT = (-2.0, -3.0, -4.0)
"""Where light comes from in a picture whose job traced no shadows."""


def raytrace(
    common: Common,
    primitives: Annotated[int, typer.Option(help="Boxes in the random scene: 4, 8, ... 512.")] = 8,
    bits: Annotated[int, typer.Option(help="Bits of a coordinate, 2 to 8.")] = 4,
    size: Annotated[int, typer.Option(help="Pixels a side, at most 2^bits.")] = 16,
    seed: Annotated[int, typer.Option(help="Of the scene and of everything that is drawn.")] = 7,
    engine: Annotated[str, typer.Option(help="sparse, aer (state vector), mps, or any backend's name.")] = "sparse",
    shots: Annotated[int | None, typer.Option(help="Per circuit.", show_default="1 on sparse, else 16")] = None,
    camera: Annotated[str, typer.Option(help="+z, -z, +x, -x, +y, -y or perspective.")] = "+z",
    light: Annotated[str, typer.Option(help="Direction to the light, for shadows.", metavar="X,Y,Z")] = "0,0,0",
    frame: Annotated[int, typer.Option(help="Of a sequence in which the boxes drift.")] = 0,
    delta: Annotated[float, typer.Option(help="Chance that a search gives up too early.")] = 1e-5,
    max_parts: Annotated[
        int, typer.Option(help="2: the classical tracer may do some of the rows; policy `split` says how many.")
    ] = 1,
    scene: Annotated[Path | None, typer.Option(help="A scene of your own: lines of id and six corners.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write a PNG: shaded on the left, depth on the right.")] = None,
) -> None:
    """Trace a scene with Grover searches, one for each ray, and compare every pixel with the classical tracer."""
    from circuits.errors import InvalidParameter
    from circuits.raytracing import RayTracing
    from orchestrator.placement import CLASSICAL

    try:
        light_x, light_y, light_z = (int(part) for part in light.split(","))
    except ValueError as error:
        raise InvalidParameter(f"light: wanted three integers X,Y,Z, got {light[:80]!r}") from error
    family = RayTracing(
        width=size,
        height=size,
        num_primitives=primitives,
        scene_seed=seed,
        grid_bits=bits,
        delta=delta,
        camera=camera,
        light_x=light_x,
        light_y=light_y,
        light_z=light_z,
        frame=frame,
        boxes="" if scene is None else ";".join(scene.read_text(encoding="utf-8").splitlines()),
    )
    if out is not None:
        _writable(out)
    asked = shots or (1 if engine == "sparse" else 16)
    with connected(common, works=True) as client:
        allow = [ENGINES.get(engine, engine), *([CLASSICAL] if max_parts > 1 else [])]
        policy = "split" if max_parts > 1 else "eft"
        handle = client.submit(family, shots=asked, seed=seed, allow=allow, max_parts=max_parts, policy=policy)
        result = _traced(handle, family)
    value, measured = result.outcome["value"], result.measurement
    rays = size * size
    record = {
        "job_id": handle.id,
        "engine": engine,
        "rows": [[share.backend, *(share.items or ())] for share in result.placement.shares],
        "num_rays": rays,
        "num_qubits": family.circuits()[0].num_qubits,
        "wrong_pixels": value["num_wrong_pixels"],
        "queries_per_ray": value["num_queries"] / rays,
        "expected_queries_per_ray": value["expected_queries"] / rays,
        "classical_tests_per_ray": len(family.scene),
        "circuits_per_ray": value["num_circuits"] / rays,
        "ms_per_ray": 1e3 * measured.run_s / rays,
        "out": None if out is None else str(out),
    }
    if out is not None:
        _write(out, value, family)
    show(common, record, lambda: _table(record))


def _traced(handle: JobHandle, family: RayTracing) -> Result:
    """Follow the job behind a progress bar, which only a terminal shows."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    total = family.width * family.height
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("rays  {task.description}"), TimeElapsedColumn())
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=total)
        left = dict[str, int]()  # of each part; the classical tracer tells nothing before its end
        for event in handle.events(timeout=None):
            if event.kind == "progress":
                left[event.data["backend"]] = event.data["partial"]["num_pixels_left"]
                bar.update(task, completed=total - sum(left.values()), description=f"round {event.data['round']}")
    return handle.result()


def _writable(out: Path) -> None:
    """Fail before the work and not after it.

    Raises:
        DependencyNotInstalled: Pillow is missing.   OSError: the folder does not exist or takes no file.
    """
    from backends.sdk import sdk_version

    sdk_version("raytrace --out", "PIL", "pillow", "plots")
    with out.open("ab"):
        pass


def _write(out: Path, value: dict[str, Any], family: RayTracing) -> None:
    from PIL import Image

    from circuits.raytracing.shading import beside, depth_map, lambert

    light = (family.light_x, family.light_y, family.light_z)
    shaded = lambert(value["hits"], light if any(light) else _SHADING_LIGHT)
    Image.fromarray(beside(shaded, depth_map(value["depth"], 2**family.grid_bits - 1))).save(out, format="PNG")


def _table(record: dict[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in record.items():
        if value is not None:
            table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    return table
