"""What slots side by side have in common: some of them, each several times, and instances as a batch and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from circuits.errors import DependencyNotInstalled

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise DependencyNotInstalled("a batched world", "torch", "learn") from error


@dataclass(frozen=True)
class BatchedSlots:
    """Tensors, or None where a world has none, whose first axis is the slot; first those named as an instance's arrays.

    Attributes:
        instance: type of one slot, a dataclass of arrays.   whole: its arrays that are int64.
    """

    instance: ClassVar[type[Any]]
    whole: ClassVar[frozenset[str]]

    @classmethod
    def stacked(cls, instances: Sequence[Any], dtype: Any = torch.float64) -> Self:
        """Instances of one size as a batch."""
        names = [item.name for item in fields(cls.instance)]
        arrays = {name: np.stack([getattr(one, name) for one in instances]) for name in names}
        return cls(**{name: torch.as_tensor(array).to(dtype) for name, array in arrays.items()})

    def unstacked(self) -> list[Any]:
        """Each slot by itself; the reverse of :meth:`stacked`."""
        names = [item.name for item in fields(self.instance)]
        arrays = {name: getattr(self, name).cpu().double().numpy() for name in names}
        typed = {name: array.astype(np.int64) if name in self.whole else array for name, array in arrays.items()}
        num_slots = len(arrays[names[0]])
        return [self.instance(**{name: array[row] for name, array in typed.items()}) for row in range(num_slots)]

    def at(self, index: Any) -> Self:
        """Some of the slots, by whatever indexes a tensor's first axis."""
        return replace(self, **{name: values[index] for name, values in self._there().items()})

    def repeated(self, times: int) -> Self:
        """Every slot so many times, one after the other."""
        return replace(self, **{name: values.repeat_interleave(times, 0) for name, values in self._there().items()})

    def _there(self) -> dict[str, Tensor]:
        return {name: values for name, values in vars(self).items() if values is not None}
