"""Convolution, activation and normalization in one call, in any order (seed 000, last answer)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import layers

from normcraft._core.errors import InputError, unknown_name
from normcraft.kinds import load_kind

__all__ = ["conv_block"]

STEPS = ("convolution", "activation", "normalization")
SHORT = {"conv": "convolution", "act": "activation", "norm": "normalization"}
CONVOLUTIONS = {3: layers.Conv1D, 4: layers.Conv2D, 5: layers.Conv3D}


def conv_block(
    inputs: Any,
    filters: int,
    kernel_size: int | tuple[int, ...] = 3,
    *,
    order: str | Sequence[str] = STEPS,
    activation: Any = "relu",
    kind: str = "batch",
    padding: str = "same",
    name: str | None = None,
    **convolution: Any,
) -> Any:
    """Calls a convolution, an activation and normalization on a tensor, in the order asked for.

    The convolution has no bias where normalization that subtracts it again follows at once; give
    `use_bias=` to decide yourself.

    Args:
        inputs: A Keras tensor of shape (batch, length, channels), (batch, height, width, channels)
            or with three such axes: the convolution is 1-D, 2-D or 3-D accordingly.
        filters: Number of filters.
        kernel_size: Size of the kernel.
        order: Steps in their order, `("convolution", "activation", "normalization")` as the seed
            has it, or in short `"conv-norm-act"`. Activation and normalization may be left out.
        activation: Activation, by name or as a function.
        kind: Kind of normalization.
        padding: As `keras.layers.Conv2D` takes it.
        name: Name of the convolution, from which the other layers' names are made.
        **convolution: Further arguments of the convolution (`strides`, `kernel_initializer`, …).

    Returns:
        The resulting tensor.

    Raises:
        InputError: There is no such order, or a layer refuses the tensor or its arguments.

    Example:
        >>> import keras
        >>> image = keras.Input((32, 32, 3))
        >>> features = conv_block(image, 16, order="conv-norm-act", name="stem")
        >>> [layer.name for layer in keras.Model(image, features).layers][1:]
        ['stem', 'stem_batch_normalization', 'stem_activation']
    """
    steps = _steps(order)
    shape = tuple(getattr(inputs, "shape", ()))
    if len(shape) not in CONVOLUTIONS:
        raise InputError(
            "a convolution cannot work on this",
            received=f"shape {shape}" if shape else type(inputs).__name__,
            expected="a tensor of rank 3, 4 or 5, the batch axis included",
        )
    if "convolution normalization" in " ".join(steps):
        convolution = {"use_bias": not load_kind(kind).ABSORBS_BIAS, **convolution}
    try:
        layer = CONVOLUTIONS[len(shape)](
            filters, kernel_size, padding=padding, name=name, **convolution
        )
        tensor = inputs
        for step in steps:
            tensor = _layer(step, layer, tensor, activation, kind)(tensor)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras cannot build this convolution block{f' {name!r}' if name else ''}",
            received=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}",
        ) from error
    return tensor


def _layer(step: str, convolution: Any, tensor: Any, activation: Any, kind: str) -> Any:
    if step == "convolution":
        return convolution
    if step == "activation":
        return layers.Activation(activation, name=f"{convolution.name}_activation")
    axis = 1 if convolution.data_format == "channels_first" else -1
    found, shape = load_kind(kind), tuple(tensor.shape)
    reason = found.refusal(shape, axis) if shape[axis] else "its number of channels is unknown"
    if reason:
        raise InputError(f"kind {kind!r} cannot normalize shape {shape}", received=reason)
    return found.build(axis, f"{convolution.name}_{kind}_normalization", shape=shape)


def _steps(order: str | Sequence[str]) -> tuple[str, ...]:
    parts = order.split("-") if isinstance(order, str) else list(order)
    steps = tuple(SHORT.get(str(part).strip(), str(part).strip()) for part in parts)
    for step in steps:
        if step not in STEPS:
            raise unknown_name("step of a convolution block", step, (*STEPS, *SHORT))
    if "convolution" not in steps or len(set(steps)) < len(steps):
        raise InputError(
            "this is no order of a convolution block",
            received=repr(order),
            expected="convolution, and activation and normalization at most once each",
        )
    return steps
