"""Several trials in one program: each value has an axis in front, a lane for each trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

__all__ = ["apart", "in_lanes", "joined"]


def in_lanes(function: Callable[..., Any], lanes: int, axes: tuple[int | None, ...]) -> Any:
    """A function of values with an axis of lanes in front, computed for each lane apart.

    Args:
        function: A function of one trial's values.
        lanes: How many trials.
        axes: For each argument 0 where it has the axis, None where all lanes share it.

    Returns:
        A function whose results have the axis.

    Example:
        >>> in_lanes(lambda a, b: a + b, 2, (0, None))(np.array([1, 2]), 10).tolist()
        [11, 12]
    """
    if lanes > 1:
        return jax.vmap(function, in_axes=axes)

    def alone(*arguments: Any) -> Any:
        # A program of one trial computes what it would without the axis, and as fast.
        inside = (
            value if axis is None else jax.tree.map(lambda array: array[0], value)
            for value, axis in zip(arguments, axes, strict=True)
        )
        return jax.tree.map(lambda array: array[None], function(*inside))

    return alone


def joined(trees: Sequence[Any]) -> Any:
    """One tree of arrays with an axis of lanes in front.

    Args:
        trees: One tree a trial, all alike.

    Returns:
        A tree of NumPy arrays.

    Example:
        >>> joined([{"a": 1}, {"a": 2}])["a"].tolist()
        [1, 2]
    """
    return jax.tree.map(lambda *arrays: np.stack(arrays), *trees)


def apart(tree: Any, lanes: int) -> list[Any]:
    """The trees of the first trials, as NumPy arrays.

    Args:
        tree: A tree whose arrays have an axis of lanes in front.
        lanes: How many are taken.

    Returns:
        One tree a trial.
    """
    leaves, structure = jax.tree.flatten(jax.device_get(tree))
    return [jax.tree.unflatten(structure, [leaf[lane] for leaf in leaves]) for lane in range(lanes)]
