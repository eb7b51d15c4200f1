"""Batch normalization that hands out what it measures."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["Measuring"]


class Measuring(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalization that hands out what it receives beside its result.

    Its second to fourth output are the number of values behind each channel, their mean and their
    biased variance, each of shape (1, channels).

    Args:
        by_batch: Whether it normalizes by these; otherwise by its moving statistics.
        **settings: Arguments of `BatchNormalization`.

    Example:
        >>> result, count, mean, variance = Measuring()(keras.ops.ones((4, 2)))
        >>> keras.ops.convert_to_numpy(count).tolist()
        [[4.0, 4.0]]
    """

    def __init__(self, *, by_batch: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.by_batch = by_batch

    @classmethod
    def of(cls, layer: keras.layers.BatchNormalization, *, by_batch: bool = True) -> Measuring:
        """The measuring form of a layer, weights not copied.

        Returns:
            A new layer; statistics are not synchronized between devices.
        """
        settings = ("name", "axis", "momentum", "epsilon", "center", "scale")
        config = {name: getattr(layer, name) for name in settings}
        return cls(by_batch=by_batch, **config, dtype=layer.dtype_policy)

    @property
    def _measured_dtype(self) -> str:
        return "float64" if self.compute_dtype == "float64" else "float32"

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Normalizes and measures.

        Returns:
            `(result, count, mean, variance)`.
        """
        del training
        x = ops.cast(inputs, self._measured_dtype)
        moments = _moments(x, mask, self.axis % len(x.shape))
        if self.by_batch:
            result = ops.cast(self._normalized(x, *moments[1:]), self.compute_dtype)
        else:
            result = super().call(inputs, training=False, mask=mask)
        return result, *(ops.reshape(value, (1, -1)) for value in moments)

    def _normalized(self, x: Any, mean: Any, variance: Any) -> Any:
        result = (x - mean) / ops.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            result = result * ops.reshape(self.gamma, mean.shape)
        if self.beta is not None:
            result = result + ops.reshape(self.beta, mean.shape)
        return result

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Shapes and dtypes of the four outputs.

        Returns:
            Keras tensors.
        """
        del training, mask
        row = (1, inputs.shape[self.axis])
        moments = (keras.KerasTensor(row, dtype=self._measured_dtype) for _ in range(3))
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype), *moments


def _moments(x: Any, mask: Any, axis: int) -> tuple[Any, Any, Any]:
    # Of the unmasked values, axes kept; all zero where everything is masked.
    axes = [a for a in range(len(x.shape)) if a != axis]
    if mask is not None:
        mask = ops.broadcast_to(ops.cast(ops.expand_dims(mask, -1), x.dtype), ops.shape(x))

    def total(value: Any) -> Any:
        return ops.sum(value if mask is None else value * mask, axes, keepdims=True)

    # A float32 sum of ones would stop at 2**24.
    positions = ops.cast(ops.size(x), x.dtype) / x.shape[axis]
    count = positions if mask is None else total(mask)
    divisor = ops.maximum(count, ops.ones_like(count))
    mean = total(x) / divisor
    # Far from zero the sum lost digits; what is left after the first mean is near it.
    mean = mean + total(x - mean) / divisor
    variance = total(ops.square(x - mean)) / divisor
    return count + ops.zeros_like(mean), mean, variance
