"""How pictures look, and the one way to make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from circuits.errors import DependencyNotInstalled, InvalidParameter

STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
}

TONES = (
    *("#35618f", "#c8553d", "#5f9e78", "#d9a441", "#7b5ea7", "#3aa6a6"),
    *("#b5739d", "#8c6d46", "#6b7683", "#a3b18a", "#1d2b3a", "#e8a87c"),
)


@contextmanager
def picture(path: Path, rows: int, columns: int, size: tuple[float, float], **shared: Any) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes (rows, columns), written to ``path`` at the end; its suffix says in which format.

    Raises:
        DependencyNotInstalled: matplotlib is missing.   InvalidParameter: it writes no such format.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise DependencyNotInstalled("a picture", "matplotlib", "plots") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **shared)
        try:
            formats = sorted(figure.canvas.get_supported_filetypes())
            if path.suffix[1:].lower() not in formats:
                raise InvalidParameter(f"picture: wanted a file that ends in one of {', '.join(formats)}, got {path}")
            yield figure, axes
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=130)
        finally:
            plt.close(figure)


def plain_log(axis: Any, *which: str) -> None:
    """Logarithmic axes ("x", "y") of what is drawn, with plain numbers at 1, 2 and 5, or at 1 over many decades."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for each in which:
        getattr(axis, f"set_{each}scale")("log")
        scale = getattr(axis, f"{each}axis")
        low, high = scale.get_view_interval()
        scale.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 200.0 * low else (1.0,)))
        scale.set_major_formatter(lambda value, _: f"{value:,.10g}".replace(",", " "))
        scale.set_minor_formatter(NullFormatter())
