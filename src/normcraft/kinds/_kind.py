"""The kinds by name, and the kind of a layer that stands in a model already."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Protocol, cast

import numpy as np

from normcraft._core.registry import load, members

__all__ = ["Kind", "Shape", "kind_names", "kind_of", "load_kind", "num_positions"]

PACKAGE = "normcraft.kinds"
Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | None, ...]


class Kind(Protocol):
    """What every file in this folder offers."""

    ABSORBS_BIAS: bool
    """Whether a constant per channel added to its input cannot change its output."""

    def build(self, axis: int, name: str, *, shape: Shape, **config: Any) -> Any:
        """The Keras layer, not yet built."""

    def refusal(self, shape: Shape, axis: int) -> str | None:
        """Why this kind cannot normalize a tensor of that shape; None where it can."""

    def matches(self, layer: Any) -> bool:
        """Whether a layer is of this kind."""

    def learned(self, layer: Any) -> tuple[Any, Any]:
        """Variables of the learned scale and shift; None where it has none."""

    def inference_affine(self, layer: Any) -> tuple[Array, Array] | None:
        """`(scale, shift)` with y = scale·x + shift at inference; None where not affine."""


@cache
def kind_names() -> tuple[str, ...]:
    """Names of all kinds.

    Returns:
        Names in alphabetical order.

    Example:
        >>> "batch" in kind_names()
        True
    """
    return members(PACKAGE)


@cache
def load_kind(name: str) -> Kind:
    """A kind by its name.

    Args:
        name: For example `"batch"`.

    Returns:
        The kind.

    Example:
        >>> load_kind("batch").ABSORBS_BIAS
        True
    """
    return cast(Kind, load(PACKAGE, name, what="kind"))


def kind_of(layer: Any) -> str | None:
    """The kind of a normalization layer.

    Args:
        layer: Any layer.

    Returns:
        Its kind's name, or None for a layer of no kind here.

    Example:
        >>> import keras
        >>> kind_of(keras.layers.RMSNormalization())
        'rms'
    """
    return next((name for name in kind_names() if load_kind(name).matches(layer)), None)


def num_positions(shape: Shape, axis: int) -> float:
    """Positions of each sample, that is values of one channel.

    Args:
        shape: Shape of a tensor, the batch axis first.
        axis: Axis of its channels.

    Returns:
        A whole number; infinity where it depends on the input.

    Example:
        >>> num_positions((None, 28, 28, 3), -1), num_positions((None, 8), -1)
        (784, 1)
    """
    others = [size for i, size in enumerate(shape) if i not in {0, axis % len(shape)}]
    return math.inf if None in others else math.prod(size for size in others if size is not None)
