"""Affine maps y = scale·x + shift that vary along some axes of a value and not along the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Affine"]

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Affine:
    """y = scale·x + shift, elementwise and alike for every row of a batch.

    Attributes:
        scale: Float64 with an axis for each axis of the value but the batch, of size 1 where it
            does not vary.
        shift: Likewise, of the same shape.

    Example:
        >>> affine = Affine.of_channels(np.array([2.0, 3.0]), np.array([0.0, 1.0]), axis=1, rank=4)
        >>> affine.scale.shape, affine.varying
        ((2, 1, 1), (1,))
    """

    scale: Array
    shift: Array

    @classmethod
    def of_channels(cls, scale: Array, shift: Array, *, axis: int, rank: int) -> Affine:
        """The map with one factor and one summand a channel.

        Args:
            scale: Shape (channels,).
            shift: Shape (channels,).
            axis: Axis of the channels, the batch counted.
            rank: Rank of the value, the batch counted.

        Returns:
            The map.
        """
        shape = [-1 if position == axis % rank else 1 for position in range(1, rank)]
        return cls(scale.reshape(shape), shift.reshape(shape))

    def on_axis(self, axis: int, rank: int) -> Affine:
        """A map of vectors, on a value that has these channels along an axis.

        Args:
            axis: The axis, the batch counted.
            rank: Rank of the value, the batch counted.

        Returns:
            The map.
        """
        return Affine.of_channels(self.scale, self.shift, axis=axis, rank=rank)

    @property
    def varying(self) -> tuple[int, ...]:
        """Axes along which it varies, the batch counted."""
        return tuple(axis + 1 for axis, size in enumerate(self.scale.shape) if size > 1)

    @property
    def shifts(self) -> bool:
        """Whether it adds anything."""
        return bool(np.any(self.shift != 0))

    def then(self, other: Affine) -> Affine:
        """This map first, and then the other.

        Returns:
            x ↦ other(self(x)).
        """
        return Affine(
            *np.broadcast_arrays(self.scale * other.scale, self.shift * other.scale + other.shift)
        )

    def equals(self, other: Affine) -> bool:
        """Whether another map is the same, exactly.

        Returns:
            True where scale and shift are equal.
        """
        return bool(
            np.array_equal(self.scale, other.scale) and np.array_equal(self.shift, other.shift)
        )

    def reshaped(self, before: Shape, after: Shape) -> Affine | None:
        """The same map on a value whose axes are merged or split.

        Args:
            before: Shape of the value that it acts on, the batch first.
            after: Shape of the value that it shall act on.

        Returns:
            The map; None where an unknown size hides which element is which.
        """
        if None in before[1:] or None in after[1:]:
            same_end = before[-1] == after[-1] and self.varying in {(), (len(before) - 1,)}
            if not same_end:
                return None
            shape = (1,) * (len(after) - 2) + (self.scale.shape[-1],)
            return Affine(self.scale.reshape(shape), self.shift.reshape(shape))
        sizes: Any = before[1:]
        full = [np.broadcast_to(part, sizes) for part in (self.scale, self.shift)]
        target: Any = after[1:]
        return Affine(*(part.reshape(target) for part in full)).collapsed()

    def collapsed(self) -> Affine:
        """The same map without axes along which it does not really vary.

        Returns:
            A map whose arrays have size 1 along every such axis.
        """
        scale, shift = self.scale, self.shift
        for axis in range(scale.ndim):
            first = [part.take([0], axis) for part in (scale, shift)]
            if np.all(scale == first[0]) and np.all(shift == first[1]):
                scale, shift = first
        return Affine(scale, shift)

    def transposed(self, order: tuple[int, ...]) -> Affine:
        """The same map on a value whose axes are permuted.

        Args:
            order: For each axis of the new value the axis of the old that it was, the batch first.

        Returns:
            The map.
        """
        axes = [axis - 1 for axis in order[1:]]
        return Affine(self.scale.transpose(axes), self.shift.transpose(axes))

    def channels(self, axis: int, size: int) -> tuple[Array, Array] | None:
        """Factor and summand of each channel, where it varies along no other axis.

        Args:
            axis: Axis of the channels, the batch counted.
            size: Number of channels.

        Returns:
            Two arrays of shape (channels,), or None.
        """
        if any(other != axis for other in self.varying):
            return None
        both = (self.scale, self.shift)
        return tuple(np.broadcast_to(part.reshape(-1), (size,)) for part in both)  # type: ignore[return-value]
