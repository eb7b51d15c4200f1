"""TensorFlow: its fused batch normalization on a matrix of values by channels."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from normcraft.layers.kernels import plain

__all__ = ["normalize"]

Tensor = Any
# On a CPU the fused operation adds values up in a row: of more, far from zero, the mean loses
# digits that the variance and the gradient of gamma need.
LONGEST_SUM = 2**13
SLOTS = 64


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes a matrix of values by channels.

    Returns:
        `(y, mean, variance)`.
    """
    if x.dtype != tf.float32:
        return plain.normalize(x, gamma, beta, axis=-1, epsilon=epsilon)
    gamma = tf.ones(x.shape[1]) if gamma is None else gamma
    beta = tf.zeros(x.shape[1]) if beta is None else beta
    if tf.config.list_physical_devices("GPU"):
        return _fused(x, gamma, beta, epsilon)
    few, many = (lambda: _fused(x, gamma, beta, epsilon)), (lambda: _long(x, gamma, beta, epsilon))
    if x.shape[0] is None:
        return tf.cond(tf.shape(x)[0] > LONGEST_SUM, many, few)
    return many() if x.shape[0] > LONGEST_SUM else few()


def _fused(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    nothing = tf.zeros([0])
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x[None, :, None],
        scale=gamma,
        offset=beta,
        mean=nothing,
        variance=nothing,
        epsilon=epsilon,
        is_training=True,
    )
    # The operation hands the variance out with Bessel's correction.
    count = tf.cast(tf.shape(x)[0], x.dtype)
    biased = variance * (tf.maximum(count - 1, 0) / tf.maximum(count, 1))
    return y[0, :, 0], tf.stop_gradient(mean), tf.stop_gradient(biased)


def _long(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """The same with statistics summed in many slots, for very many values."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> Any:
        mean = _mean(x)
        variance = _mean(tf.square(x - mean))
        y, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x[None, :, None],
            scale=gamma,
            offset=beta,
            mean=mean,
            variance=variance,
            epsilon=epsilon,
            is_training=False,
        )

        def gradients(gradient: Tensor, *_: Tensor) -> Any:
            of_x, of_gamma, of_beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=gradient[None, :, None],
                x=x[None, :, None],
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.zeros([0]),
                epsilon=epsilon,
                is_training=True,
            )
            return of_x[0, :, 0], of_gamma, of_beta

        return (y[0, :, 0], mean, variance), gradients

    return normalized(x, gamma, beta)


def _mean(x: Tensor) -> Tensor:
    count, channels = tf.shape(x)[0], x.shape[1]
    even = count // SLOTS * SLOTS
    slots = tf.reduce_sum(tf.reshape(x[:even], [-1, SLOTS * channels]), 0)
    total = tf.reduce_sum(tf.reshape(slots, [SLOTS, channels]), 0) + tf.reduce_sum(x[even:], 0)
    return total / tf.cast(count, x.dtype)
