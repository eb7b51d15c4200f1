"""Batch normalization that hands out what it measures."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from normcraft.graph import unwrapped
from normcraft.layers import BatchNormalization

__all__ = ["Measuring"]


class Measuring(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalization that hands out what it receives beside its result.

    Its second to fifth output are the number of values behind each channel, their mean in two parts
    (whose sum in float64 is nearer to it than the spacing of float32 far from zero), and their
    biased variance, each of shape (1, channels).

    Args:
        by_batch: Whether it normalizes by the statistics of its batch, else by its moving ones.
        by_step: Whether it stands for batch normalization inside `TimeDistributed`, which
            normalizes each step, axis 1, by itself; what it hands out is of all steps together.
        **settings: Arguments of `BatchNormalization`.

    Example:
        >>> result, count, *mean, variance = Measuring()(keras.ops.ones((4, 2)))
        >>> keras.ops.convert_to_numpy(count).tolist()
        [[4.0, 4.0]]
    """

    def __init__(self, *, by_batch: bool = True, by_step: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.by_batch = by_batch
        self.by_step = by_step

    @classmethod
    def of(cls, layer: keras.layers.Layer, *, by_batch: bool = True) -> Measuring:
        """The measuring form of batch normalization, weights not copied.

        Args:
            layer: The layer, perhaps inside `TimeDistributed`.
            by_batch: As the class takes it.

        Returns:
            A new layer; statistics are not synchronized between devices, and there is no renorm.
        """
        inner = unwrapped(layer)
        settings = ("epsilon", "center", "scale")
        config = {name: getattr(inner, name) for name in settings}
        wrapped = inner is not layer
        axis = inner.axis + (wrapped and inner.axis >= 0)
        # Ours takes the statistics of all steps.
        by_step = wrapped and not isinstance(inner, BatchNormalization)
        config |= {"name": layer.name, "axis": axis, "dtype": inner.dtype_policy}
        return cls(by_batch=by_batch, by_step=by_step, **config)

    @property
    def _measured_dtype(self) -> str:
        return "float64" if self.compute_dtype == "float64" else "float32"

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Normalizes and measures.

        Returns:
            `(result, count, mean, rest of the mean, variance)`.
        """
        del training
        x = ops.cast(inputs, self._measured_dtype)
        channels = self.axis % len(x.shape)
        moments = _moments(x, mask, {channels})
        if self.by_batch:
            own = _moments(x, mask, {1, channels}) if self.by_step else moments
            result = ops.cast(self._normalized(x, own), self.compute_dtype)
        else:
            result = super().call(inputs, training=False, mask=mask)
        return result, *(ops.reshape(value, (1, -1)) for value in moments)

    def _normalized(self, x: Any, moments: tuple[Any, ...]) -> Any:
        _, first, rest, variance = moments
        shape = [1] * len(x.shape)
        shape[self.axis] = x.shape[self.axis]
        result = (x - (first + rest)) / ops.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            result = result * ops.reshape(ops.cast(self.gamma, x.dtype), shape)
        if self.beta is not None:
            result = result + ops.reshape(ops.cast(self.beta, x.dtype), shape)
        return result

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Shapes and dtypes of the five outputs.

        Returns:
            Keras tensors.
        """
        del training, mask
        row = (1, inputs.shape[self.axis])
        moments = (keras.KerasTensor(row, dtype=self._measured_dtype) for _ in range(4))
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype), *moments


def _moments(x: Any, mask: Any, kept: set[int]) -> tuple[Any, Any, Any, Any]:
    # Of the unmasked values over all axes but those kept; all zero where everything is masked.
    axes = [axis for axis in range(len(x.shape)) if axis not in kept]
    if mask is not None:
        mask = ops.broadcast_to(ops.cast(ops.expand_dims(mask, -1), "bool"), ops.shape(x))

    def total(value: Any) -> Any:
        return _sum(value if mask is None else ops.where(mask, value, 0), axes)

    count = _num_values(x, mask, axes)
    divisor = ops.maximum(count, ops.ones_like(count))
    first = total(x) / divisor
    # Far from zero the sum lost digits; what is left after the first mean is near it.
    rest = total(x - first) / divisor
    variance = total(ops.square(x - (first + rest))) / divisor
    return count + ops.zeros_like(first), first, rest, variance


def _num_values(x: Any, mask: Any, axes: list[int]) -> Any:
    # A float32 sum of ones would stop at 2**24.
    if mask is not None:
        return ops.cast(ops.sum(ops.cast(mask, "int32"), axes, keepdims=True), x.dtype)
    sizes = ops.shape(x)
    return ops.cast(math.prod(sizes[axis] for axis in axes), x.dtype)


def _sum(x: Any, axes: list[int]) -> Any:
    # TensorFlow and NumPy add millions of values one by one, which loses digits in float32: means
    # of 64 images of 224 by 224 were off by 15% of a standard deviation, 1000 of them from zero.
    if keras.backend.backend() not in {"tensorflow", "numpy"}:
        return ops.sum(x, axes, keepdims=True)
    return ops.cast(ops.sum(ops.cast(x, "float64"), axes, keepdims=True), x.dtype)
