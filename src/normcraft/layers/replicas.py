"""Statistics over the replicas of a model that is trained on several devices."""

from __future__ import annotations

from typing import Any

import keras

from normcraft._core.errors import InputError

__all__ = ["sum_over_replicas", "why_not_synchronized"]

Tensor = Any


def why_not_synchronized() -> InputError | None:
    """What speaks against statistics over all replicas on this backend.

    Returns:
        The error to raise; None on TensorFlow and JAX.
    """
    backend = keras.backend.backend()
    if backend in {"jax", "tensorflow"}:
        return None
    return InputError(
        f"synchronized=True is not possible on the {backend} backend",
        received="synchronized=True",
        expected="the TensorFlow or the JAX backend",
        hint="each replica then uses the statistics of its own part of the batch",
    )


def sum_over_replicas(value: Tensor) -> Tensor:
    """The sum of a tensor over replicas; gradients flow through it.

    On JAX a batch that is sharded over devices is one array, and its sums are over all of it.

    Returns:
        A tensor like `value`.
    """
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    return value if replica is None else replica.all_reduce(tf.distribute.ReduceOp.SUM, value)
