"""What lies between normalization and the layer that takes it: operations that it can pass.

Backward: an affine map behind an operation equals affine maps on its inputs, A(f(x)) = f(B(x)).
Forward: a map on its input equals a map behind it. Each rule says so exactly or gives the reason
why not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from normcraft.graph import Call, is_addition, transposition
from normcraft.surgery.planning.affine import Affine

__all__ = ["backward_through", "forward_through", "own_class"]

RANDOM = (
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
AVERAGE = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
MAXIMUM = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
GLOBAL_AVERAGE = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)
GLOBAL_MAXIMUM = (
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
)
GLOBAL = GLOBAL_AVERAGE + GLOBAL_MAXIMUM
PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
SPATIAL = (
    *(AVERAGE + MAXIMUM + PADDING),
    *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
    *(layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D),
)
RESHAPING = (layers.Flatten, layers.Reshape)  # keras.ops.reshape may mix the rows of a batch


def own_class(operation: Any) -> str | None:
    """Why an operation may not do what its base class does.

    Returns:
        The reason where its class is neither Keras's nor ours, else None.
    """
    cls = type(operation)
    if cls.__module__.startswith(("keras.", "normcraft.")):
        return None
    return f"is a {cls.__name__}, a class of its own that may compute something else"


def backward_through(call: Call, affine: Affine) -> tuple[Affine, ...] | str:
    """The maps on the inputs of a call that equal a map behind it.

    Args:
        call: The call.
        affine: The map on its output.

    Returns:
        One map an input, or the reason why there are none.
    """
    if is_addition(call.layer):
        return _before_addition(call, affine)
    if _joins(call.layer):
        return _before_join(call, affine)
    if isinstance(call.layer, RESHAPING):
        return _unflattened(call, affine) or _between(call)
    order = _order(call)
    if order:
        return (affine.transposed(_inverse(order)),)
    before = _restored(call, affine) if isinstance(call.layer, GLOBAL) else affine
    return _obstacle(call, before) or (before,)


def forward_through(call: Call, affine: Affine, position: int) -> Affine | str:
    """The map behind a call that equals a map on one of its inputs.

    Args:
        call: The call.
        affine: The map on that input.
        position: Which of its inputs.

    Returns:
        The map, or the reason why there is none.
    """
    if _joins(call.layer):
        return _behind_join(call, affine, position)
    if len(call.inputs) != 1:
        return _between(call)
    if isinstance(call.layer, RESHAPING):
        return _flattened(call, affine) or _between(call)
    order = _order(call)
    if order:
        return affine.transposed(order)
    obstacle = _obstacle(call, affine)
    if obstacle or not isinstance(call.layer, GLOBAL):
        return obstacle or affine
    return _pooled(call, affine)


def _between(call: Call) -> str:
    return f"{call.site!r} stands in between"


def _order(call: Call) -> tuple[int, ...] | None:
    order = transposition(call.layer, len(call.inputs[0].shape)) if call.inputs else None
    return order if order and order[0] == 0 else None


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(axis) for axis in range(len(order)))


def _obstacle(call: Call, affine: Affine) -> str | None:
    """Why a map on the input of a call that keeps the channels is none behind it.

    Returns:
        The reason, or None.
    """
    layer, foreign = call.layer, own_class(call.layer)
    if foreign:
        return f"{call.site!r} in between {foreign}"
    if isinstance(layer, RANDOM):
        return f"{call.site!r} in between has training=True baked in" if call.training else None
    if isinstance(layer, layers.Identity | layers.ActivityRegularization) or _is_identity(layer):
        return None
    return _of_positions(call, affine) if isinstance(layer, SPATIAL + GLOBAL) else _between(call)


def _of_positions(call: Call, affine: Affine) -> str | None:
    layer = call.layer
    channels = 1 if _first(layer) else len(call.inputs[0].shape) - 1
    if any(axis != channels for axis in affine.varying):
        return f"it differs between positions that {call.site!r} in between puts together"
    if isinstance(layer, MAXIMUM + GLOBAL_MAXIMUM) and np.any(affine.scale < 0):
        return f"a gamma is negative, and {call.site!r} in between takes maxima"
    if isinstance(layer, PADDING) and affine.shifts:
        return f"{call.site!r} in between pads with zeros, and the shift is not zero"
    return None


def _is_identity(layer: Any) -> bool:
    return isinstance(layer, layers.Activation) and (
        getattr(layer.activation, "__name__", "") == "linear"
    )


def _first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _flattened(call: Call, affine: Affine) -> Affine | None:
    before, last = call.inputs[0].shape, _channels_last(call)
    if last:
        before, affine = tuple(before[axis] for axis in last), affine.transposed(last)
    return affine.reshaped(before, call.outputs[0].shape)


def _unflattened(call: Call, affine: Affine) -> tuple[Affine] | None:
    before, last = call.inputs[0].shape, _channels_last(call)
    shape = tuple(before[axis] for axis in last) if last else before
    restored = affine.reshaped(call.outputs[0].shape, shape)
    if restored and last:
        restored = restored.transposed(_inverse(last))
    return (restored,) if restored else None


def _channels_last(call: Call) -> tuple[int, ...] | None:
    # Flatten puts the channels last before it flattens.
    rank = len(call.inputs[0].shape)
    flattens = isinstance(call.layer, layers.Flatten) and _first(call.layer) and rank > 2
    return (0, *range(2, rank), 1) if flattens else None


def _pooled(call: Call, affine: Affine) -> Affine:
    # A map on the channels of what is pooled globally, on those of the result.
    if len(call.outputs[0].shape) > 2:
        return affine
    return Affine(affine.scale.reshape(-1), affine.shift.reshape(-1))


def _restored(call: Call, affine: Affine) -> Affine:
    if len(call.outputs[0].shape) > 2:
        return affine
    axis, rank = 1 if _first(call.layer) else -1, len(call.inputs[0].shape)
    return Affine.of_channels(affine.scale, affine.shift, axis=axis, rank=rank)


def _before_addition(call: Call, affine: Affine) -> tuple[Affine, ...] | str:
    shape = call.outputs[0].shape
    alike = all(value.shape == shape for value in call.inputs)
    several = len(set(call.inputs)) == len(call.inputs) > 1  # none is a constant, none comes twice
    if own_class(call.layer) or not (several and alike):
        return _between(call)
    only_scaled = Affine(affine.scale, np.zeros_like(affine.shift))
    return (affine, *(only_scaled for _ in call.inputs[1:]))


def _joins(operation: Any) -> bool:
    return type(operation).__name__ == "Concatenate" and not own_class(operation)


def _axis_of_join(call: Call) -> int:
    return int(call.layer.axis) % len(call.outputs[0].shape)


def _sizes(call: Call) -> list[int] | None:
    sizes = [value.shape[_axis_of_join(call)] for value in call.inputs]
    return [size for size in sizes if size] if all(sizes) else None


def _before_join(call: Call, affine: Affine) -> tuple[Affine, ...] | str:
    axis, sizes = _axis_of_join(call), _sizes(call)
    if axis not in affine.varying:
        return tuple(affine for _ in call.inputs)
    if sizes is None or len(set(call.inputs)) != len(call.inputs):
        return _between(call)
    ends = np.cumsum(sizes)[:-1]
    parts = (np.split(part, ends, axis - 1) for part in (affine.scale, affine.shift))
    return tuple(Affine(*both) for both in zip(*parts, strict=True))


def _behind_join(call: Call, affine: Affine, position: int) -> Affine | str:
    axis, sizes = _axis_of_join(call), _sizes(call)
    if axis == 0 or sizes is None or len(set(call.inputs)) != len(call.inputs):
        return _between(call)
    shape = list(affine.scale.shape)

    def around(part: Any, neutral: float) -> Any:
        pieces = []
        for number, size in enumerate(sizes):
            shape[axis - 1] = size
            value = part if number == position else np.full((), neutral)
            pieces.append(np.broadcast_to(value, shape))
        return np.concatenate(pieces, axis - 1)

    return Affine(around(affine.scale, 1.0), around(affine.shift, 0.0))
