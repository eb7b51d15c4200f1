"""The gradients that a backend gives of a Keras layer in training mode."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

Array = np.ndarray


def run(layer: keras.Layer, x: Array, dy: Array, **options: Any) -> tuple[Array, list[Array]]:
    """Output of a built layer, and the gradients of Σ dy·y: of x, then of its trainable weights.

    What the layer keeps is updated, as in training.
    """
    with_gradients = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
    y, gradients = with_gradients[keras.backend.backend()](layer, x, dy, options)
    return _array(y), [_array(gradient) for gradient in gradients]


def _jax(layer: Any, x: Array, dy: Array, options: dict[str, Any]) -> tuple[Any, list[Any]]:
    import jax

    kept = [weight.value for weight in layer.non_trainable_variables]

    def forward(x: Any, trainable: list[Any]) -> Any:
        return layer.stateless_call(trainable, kept, x, **options)

    trainable = [weight.value for weight in layer.trainable_variables]
    y, backward, after = jax.vjp(forward, jax.numpy.asarray(x), trainable, has_aux=True)
    for weight, value in zip(layer.non_trainable_variables, after, strict=True):
        weight.assign(value)
    of_x, of_weights = backward(jax.numpy.asarray(dy))
    return y, [of_x, *of_weights]


def _tensorflow(layer: Any, x: Array, dy: Array, options: dict[str, Any]) -> tuple[Any, list[Any]]:
    import tensorflow as tf

    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = layer(inputs, **options)
        loss = tf.reduce_sum(y * dy)
    weights = [weight.value for weight in layer.trainable_variables]
    return y, tape.gradient(loss, [inputs, *weights])


def _torch(layer: Any, x: Array, dy: Array, options: dict[str, Any]) -> tuple[Any, list[Any]]:
    import torch

    inputs = torch.tensor(x, requires_grad=True)
    y = layer(inputs, **options)
    weights = [weight.value for weight in layer.trainable_variables]
    return y, list(torch.autograd.grad((y * torch.tensor(dy)).sum(), [inputs, *weights]))


def _array(value: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(value), "float64")
