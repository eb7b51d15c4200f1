"""TensorFlow: its fused batch normalization on values by channels."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from normcraft.layers.kernels import plain

__all__ = ["normalize"]

Tensor = Any
Found = tuple[Tensor, Tensor, Tensor]
# On a CPU the fused operation adds values up in a row: of more, far from zero, the mean loses
# digits that the variance and the gradient of gamma need.
LONGEST_SUM = 2**13
SLOTS = 64


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes by the batch along the last axis.

    Returns:
        `(y, mean, variance)`.
    """
    channels = x.shape[-1]
    if x.dtype != tf.float32:  # the fused operation takes no other
        return plain.normalize(x, gamma, beta, axis=-1, epsilon=epsilon)
    gamma = tf.ones(channels) if gamma is None else gamma
    beta = tf.zeros(channels) if beta is None else beta
    y, mean, variance = _chosen(tf.reshape(x, [1, -1, 1, channels]), gamma, beta, epsilon)
    shape = x.shape if x.shape.is_fully_defined() else tf.shape(x)
    return tf.reshape(y, shape), mean, variance


def _chosen(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Found:
    few, many = (partial(form, x, gamma, beta, epsilon) for form in (_fused, _long))
    if tf.config.list_physical_devices("GPU"):
        return few()
    if x.shape[1] is None:
        chosen: Found = tf.cond(tf.shape(x)[1] > LONGEST_SUM, many, few)
        return chosen
    return many() if x.shape[1] > LONGEST_SUM else few()


def _fused(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Found:
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=epsilon,
        is_training=True,
    )
    # The operation hands the variance out with Bessel's correction.
    count = x.shape[1] or tf.cast(tf.shape(x)[1], x.dtype)
    return y, mean, variance * ((count - 1) / count)


def _long(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Found:
    """The same with statistics summed in many slots, for very many values."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> Any:
        mean = _mean(x[0, :, 0])
        variance = _mean(tf.square(x[0, :, 0] - mean))
        settings = {"x": x, "scale": gamma, "epsilon": epsilon}
        y, *_ = tf.raw_ops.FusedBatchNormV3(
            **settings, offset=beta, mean=mean, variance=variance, is_training=False
        )

        def gradients(gradient: Tensor, *_: Tensor) -> Any:
            of_x, of_gamma, of_beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
                **settings,
                y_backprop=gradient,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.zeros([0]),
                is_training=True,
            )
            return of_x, of_gamma, of_beta

        return (y, mean, variance), gradients

    found: Found = normalized(x, gamma, beta)
    return found


def _mean(x: Tensor) -> Tensor:
    count, channels = tf.shape(x)[0], x.shape[1]
    even = count // SLOTS * SLOTS
    slots = tf.reduce_sum(tf.reshape(x[:even], [-1, SLOTS * channels]), 0)
    total = tf.reduce_sum(tf.reshape(slots, [SLOTS, channels]), 0) + tf.reduce_sum(x[even:], 0)
    return total / tf.cast(count, x.dtype)
