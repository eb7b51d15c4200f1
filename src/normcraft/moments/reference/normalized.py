"""What normalization gives: the output, the statistics behind it, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from normcraft._core.errors import InputError

__all__ = ["Gradients", "Normalized"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Gradients:
    """The derivatives of Σ dy·y with respect to the three things that y depends on.

    Attributes:
        x: Of the input, of its shape.
        gamma: Of the scale, shape (channels,); given also where there was none, as of ones.
        beta: Of the shift, shape (channels,); given also where there was none, as of zeros.
    """

    x: Array
    gamma: Array
    beta: Array


@dataclass(frozen=True, eq=False)
class Normalized:
    """A normalized array, and the statistics that it was normalized with.

    There is one mean, one variance and one count for each population that shares them: the shape
    is (channels,) for batch normalization, and each function says what it is for another kind.

    Attributes:
        y: The output, float64, of the input's shape.
        mean: Means.
        variance: Biased variances: divided by the count, not by one less.
        count: How many values are behind each of them.
        backward: What `gradients` calls.

    Example:
        >>> from normcraft.moments import reference
        >>> normalized = reference.batch_norm([[1.0], [3.0]], epsilon=0.0)
        >>> normalized.y.tolist(), normalized.mean, normalized.variance, normalized.count
        ([[-1.0], [1.0]], array([2.]), array([1.]), array([2]))
        >>> normalized.gradients([[1.0], [0.0]]).gamma
        array([-1.])
    """

    y: Array
    mean: Array
    variance: Array
    count: Array
    backward: Callable[[Array], Gradients] = field(repr=False)

    def gradients(self, dy: Any) -> Gradients:
        """The backward pass.

        Args:
            dy: The gradient of the loss with respect to `y`, of its shape.

        Returns:
            The gradients with respect to input, scale and shift.

        Raises:
            InputError: If `dy` has another shape.
        """
        dy = np.asarray(dy, "float64")
        if dy.shape != self.y.shape:
            raise InputError(
                "the gradient does not fit the output",
                received=f"shape {dy.shape}",
                expected=f"shape {self.y.shape}",
            )
        return self.backward(dy)
