"""Batch normalization as Keras has it, faster, with statistics that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from normcraft._core.keras_private import time_distributed_call
from normcraft.layers.arguments import (
    broadcast_mask,
    check_axis,
    check_momentum,
    check_shape,
    clipping,
)
from normcraft.layers.averages import StepCounter, momentum_after
from normcraft.layers.kernels import moved, normalize_by_batch, plain
from normcraft.layers.replicas import sum_over_replicas, why_not_synchronized

__all__ = ["BatchNormalization"]

Tensor = Any
Found = tuple[Tensor, Tensor, Tensor, Tensor]


@keras.saving.register_keras_serializable(package="normcraft")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """A drop-in for `keras.layers.BatchNormalization`.

    It has Keras's arguments, weights and weight files, and computes the same:

    - in training y = gamma·(x − mean)/√(variance + ε) + beta, with the mean and the biased
      variance of the batch over all axes but the channels', and the moving averages follow:
      average ← momentum·average + (1 − momentum)·statistic;
    - at inference the same with the moving averages.

    It differs in what it costs (see the table in the documentation) and in what it survives. The
    variance of data with a large mean is right on every backend. A mask may have any shape that
    Keras documents, with a single channel too. Inside `TimeDistributed` the statistics are those
    over all steps, and the averages move once a batch. A batch without statistics (empty, wholly
    masked, infinite or undefined values) leaves the averages of its channels as they are.
    Statistics are float32 at least, whatever the layer's dtype.

    Args:
        axis: Axis of the channels; not 0, the batch's.
        momentum: In [0, 1]. None for the cumulative average, in which all batches weigh the same.
        epsilon: What is added to the variance.
        center: Whether there is a shift `beta`.
        scale: Whether there is a scale `gamma`.
        beta_initializer: Of `beta`.
        gamma_initializer: Of `gamma`.
        moving_mean_initializer: Of the moving mean.
        moving_variance_initializer: Of the moving variance.
        beta_regularizer: Of `beta`.
        gamma_regularizer: Of `gamma`.
        beta_constraint: Of `beta`.
        gamma_constraint: Of `gamma`.
        renorm: Batch renormalization, as in Keras from 3.14 on; here with every Keras.
        renorm_clipping: `"rmax"`, `"rmin"`, `"dmax"`, each optional.
        renorm_momentum: Momentum of the averages that renormalization works with in training.
        synchronized: Whether statistics are those over all replicas: on TensorFlow by a sum over
            them; on JAX a sharded batch is one batch, with or without this.
        debiased: Whether the averages leave their initial values out: right from the first batch.
            The count of batches is kept beside the weights (see `Resuming`).
        unbiased_variance: Whether the moving variance follows the batch's variance with Bessel's
            correction, n/(n − 1) times the biased one, as PyTorch's does.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Floats of rank 2 or more.
        training: Whether to normalize by the batch.
        mask: Which positions count: the input's shape without its last axis, or what broadcasts to
            it.

    Resuming:
        With `debiased=True` or `momentum=None` a file that this layer wrote holds the count, and
        training goes on as if it had not stopped. Statistics that came without a count, from
        Keras's layer or by `set_weights`, count as old with `debiased=True`: the average goes on
        with `momentum`. With `momentum=None` they are left behind at the first batch.

    Raises:
        InputError: For arguments out of range.

    Example:
        >>> layer = BatchNormalization(debiased=True)
        >>> y = layer(ops.array([[1.0], [3.0]]), training=True)
        >>> float(layer.moving_mean[0]), float(layer.moving_variance[0])
        (2.0, 1.0)

    Source: Ioffe and Szegedy (2015), "Batch Normalization", algorithms 1 and 2; Ioffe (2017),
    "Batch Renormalization".
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float | None = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        *,
        debiased: bool = False,
        unbiased_variance: bool = False,
        **kwargs: Any,
    ) -> None:
        check_axis(axis)
        check_momentum(momentum, debiased=debiased)
        super().__init__(
            axis=axis,
            momentum=0.0 if momentum is None else momentum,
            epsilon=epsilon,
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **kwargs,
        )
        if synchronized and (reason := why_not_synchronized()):
            raise reason
        self.momentum = momentum if momentum is None else float(momentum)
        self.synchronized = synchronized
        self.renorm = renorm
        self.renorm_clipping = clipping(renorm_clipping or {}) if renorm else None
        self.renorm_momentum = renorm_momentum
        self.debiased = debiased
        self.unbiased_variance = unbiased_variance
        self.steps = StepCounter(name="steps") if debiased or momentum is None else None

    def build(self, input_shape: Any) -> None:
        """Makes Keras's weights, in Keras's order."""
        check_shape(input_shape, self.axis, self.name)
        super().build(input_shape)
        if self.renorm and not hasattr(self, "moving_stddev"):  # before Keras 3.14
            self._build_renorm((input_shape[self.axis],))
        if self.steps is not None:
            self.steps.build()

    def _build_renorm(self, shape: tuple[int]) -> None:
        def deviation(shape: Any, dtype: Any = None) -> Tensor:
            return ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

        initial = {
            "moving_stddev": deviation,
            "renorm_mean": self.moving_mean_initializer,
            "renorm_stddev": deviation,
        }
        for name, initializer in initial.items():
            variable = self.add_weight(
                shape=shape, name=name, initializer=initializer, trainable=False, autocast=False
            )
            setattr(self, name, variable)

    def add_weight(self, *args: Any, **settings: Any) -> keras.Variable:
        """Keras's, with statistics of float32 at least.

        An average in 16 bits stands still where a hundredth of a change is below its resolution.

        Returns:
            The variable.
        """
        kept = str(settings.get("name", "")).startswith(("moving_", "renorm_"))
        if kept and self.variable_dtype in {"float16", "bfloat16"}:
            settings["dtype"] = "float32"
        return super().add_weight(*args, **settings)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Any:
        """Normalizes by the batch in training, else by the moving averages.

        Returns:
            A tensor like `inputs`, in the layer's compute dtype.
        """
        if not (training and self.trainable):
            return super().call(inputs, training=False, mask=mask)
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        gamma, beta = (None if w is None else ops.cast(w, x.dtype) for w in (self.gamma, self.beta))
        normalized = self._renormalized if self.renorm else self._normalized
        y, *found = normalized(x, broadcast_mask(mask, x), gamma, beta)
        self._follow(*found)
        return ops.cast(y, self.compute_dtype)

    def _normalized(
        self, x: Tensor, mask: Tensor | None, gamma: Tensor | None, beta: Tensor | None
    ) -> Found:
        """By the statistics of the batch; `(y, count, mean, variance)`."""
        form = {"axis": self.axis, "epsilon": self.epsilon}
        whole = time_distributed_call(self)
        if whole is None and mask is None and not self.synchronized:
            y, mean, variance = normalize_by_batch(x, gamma, beta, **form)
            size = ops.size(x) if None in x.shape else math.prod(x.shape)
            return y, size // x.shape[self.axis], mean, variance
        values, mask = (x, mask) if whole is None else _all_steps(whole, x)
        found = plain.moments(
            values,
            mask,
            kept=(_from_the_end(self.axis, x),),
            all_reduce=sum_over_replicas if self.synchronized else plain.unchanged,
        )
        count, mean, variance = plain.rows(found)
        y = plain.scaled(x, mean, variance, gamma, beta, **form)
        return y, count, mean, variance

    def _renormalized(
        self, x: Tensor, mask: Tensor | None, gamma: Tensor | None, beta: Tensor | None
    ) -> Found:
        """By the statistics of the batch, brought near to the averages by constants r and d."""
        y, count, *found = self._normalized(x, mask, None, None)
        mean, variance = map(ops.stop_gradient, found)
        average, deviation = (ops.cast(w, x.dtype) for w in (self.renorm_mean, self.renorm_stddev))
        deviation = ops.maximum(deviation, float(self.epsilon) ** 0.5)
        r = ops.sqrt(variance + self.epsilon) / deviation
        d = (mean - average) / deviation
        limits = self.renorm_clipping or {}
        if "rmin" in limits or "rmax" in limits:
            r = ops.clip(r, limits.get("rmin", 0.0), limits.get("rmax", float("inf")))
        if "dmax" in limits:
            d = ops.clip(d, -limits["dmax"], limits["dmax"])
        y = plain.affine(y, r, d, axis=self.axis)
        return plain.affine(y, gamma, beta, axis=self.axis), count, mean, variance

    def _follow(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Moves the averages; statistics that are not finite move nothing."""
        whole = time_distributed_call(self)
        if whole is not None and whole.goes_on:
            return
        if not isinstance(count, int) or count == 0:
            mean, variance = plain.undefined_where_empty(count, mean, variance)
        momentum = self._momentum_now(mean)
        corrected = variance
        if self.unbiased_variance:
            count = ops.cast(count, variance.dtype)
            corrected = variance * (count / ops.maximum(count - 1, 1))
        _move(self.moving_mean, mean, momentum)
        if not self.renorm:
            _move(self.moving_variance, corrected, momentum)
            return
        _move(self.renorm_mean, mean, self.renorm_momentum)
        _move(self.renorm_stddev, ops.sqrt(variance + self.epsilon), self.renorm_momentum)
        kept = _move(self.moving_stddev, ops.sqrt(corrected + self.epsilon), momentum)
        self.moving_variance.assign(ops.relu(ops.square(kept) - self.epsilon))

    def _momentum_now(self, mean: Tensor) -> Any:
        if self.steps is None:
            return self.momentum
        step = self.steps.advance(fresh=self._is_fresh(), moved=ops.any(ops.isfinite(mean)))
        return ops.cast(momentum_after(step, self.momentum), self.moving_mean.dtype)

    def _is_fresh(self) -> Tensor:
        """Whether the averages are what they began with; without momentum that is no matter."""
        if self.momentum is None:
            return True
        shape = self.moving_mean.shape
        pairs = (
            (self.moving_mean, self.moving_mean_initializer),
            (self.moving_variance, self.moving_variance_initializer),
        )
        same = [ops.all(ops.equal(w, initial(shape, dtype=w.dtype))) for w, initial in pairs]
        return ops.logical_and(*same)

    def get_config(self) -> dict[str, Any]:
        """Keras's configuration and what is ours.

        Returns:
            Arguments of the constructor.
        """
        names = ("momentum", "synchronized", "renorm", "renorm_clipping", "renorm_momentum")
        ours = ("debiased", "unbiased_variance")
        config: dict[str, Any] = super().get_config()
        return config | {name: getattr(self, name) for name in (*names, *ours)}


def _move(average: keras.Variable, value: Tensor, momentum: Any) -> Tensor:
    after = moved(ops.cast(average, value.dtype), value, momentum)
    average.assign(after)
    return after


def _all_steps(whole: Any, x: Tensor) -> tuple[Tensor, Tensor | None]:
    values = ops.cast(whole.inputs, x.dtype)
    return values, broadcast_mask(whole.mask, values)


def _from_the_end(axis: int, x: Tensor) -> int:
    # The same axis where a tensor has one more in front.
    return axis % len(x.shape) - len(x.shape)
