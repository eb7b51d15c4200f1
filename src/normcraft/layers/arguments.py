"""What the layers take as arguments, and what they answer to anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from normcraft._core.errors import InputError

__all__ = ["broadcast_mask", "check_axis", "check_momentum", "check_shape", "clipping"]

Tensor = Any
LIMITS = ("rmax", "rmin", "dmax")


def broadcast_mask(mask: Tensor | None, x: Tensor) -> Tensor | None:
    """A mask in the shape that broadcasts to what it masks.

    Returns:
        The mask with a last axis of size 1; None where there is none.

    Raises:
        InputError: If its rank is not one less than that of `x`.
    """
    if mask is None:
        return None
    if len(mask.shape) != len(x.shape) - 1:
        raise InputError(
            "The mask provided should be one dimension less than the inputs",
            received=f"mask.shape={tuple(mask.shape)}, inputs.shape={tuple(x.shape)}",
            expected="a mask of the inputs' shape without the last axis",
        )
    return ops.expand_dims(mask, -1)


def check_axis(axis: Any) -> None:
    """Makes sure that an axis is one number, and not the batch's.

    Raises:
        InputError: If it is not.
    """
    if not hasattr(axis, "__index__") or axis == 0 or isinstance(axis, bool):
        raise InputError(
            "`axis` must be the axis of the channels",
            received=repr(axis),
            expected="an integer other than 0, the axis of the batch",
            hint="-1 for channels_last, 1 for channels_first",
        )


def check_momentum(momentum: float | None, *, debiased: bool) -> None:
    """Makes sure that averages with this momentum are averages.

    Raises:
        InputError: Outside [0, 1]; at 1, where nothing moves, if they are to be debiased.
    """
    if momentum is None or 0 <= momentum < 1 or (momentum == 1 and not debiased):
        return
    raise InputError(
        "`momentum` must be between 0 and 1",
        received=repr(momentum),
        expected="a number in [0, 1), or None for the cumulative average",
    )


def check_shape(shape: Any, axis: int, name: str) -> None:
    """Makes sure that inputs have the axis, and that its size is known.

    Args:
        shape: Shape of the inputs, the batch axis first.
        axis: The axis of the channels.
        name: Of the layer.

    Raises:
        InputError: If they have not.
    """
    if not -len(shape) < axis < len(shape):
        raise InputError(
            f"Axis {axis} is out of bounds for the input of layer {name!r}",
            received=f"inputs of shape {tuple(shape)}",
            expected=f"an axis from {1 - len(shape)} to {len(shape) - 1}, and not 0",
        )
    if shape[axis] is None:
        raise InputError(
            f"layer {name!r} needs to know the number of its channels",
            received=f"inputs of shape {tuple(shape)}",
            expected=f"a size for axis {axis}",
        )


def clipping(limits: Mapping[str, float | None]) -> dict[str, float]:
    """The limits of renormalization, the ones that are None left out.

    Args:
        limits: Values of `"rmax"`, `"rmin"` and `"dmax"`.

    Returns:
        Numbers by name.

    Raises:
        InputError: For other names, and limits between which there is nothing.
    """
    found = {key: value for key, value in limits.items() if value is not None}
    if set(limits) - set(LIMITS):
        raise InputError(
            "Received invalid keys for `renorm_clipping`",
            received=str(dict(limits)),
            expected=f"keys among {', '.join(LIMITS)}",
        )
    if found.get("rmax", float("inf")) < found.get("rmin", 0):
        raise InputError(
            "rmax should be at least rmin in `renorm_clipping`", received=str(dict(limits))
        )
    if found.get("dmax", 0) < 0:
        raise InputError(
            "dmax should be non-negative in `renorm_clipping`", received=str(dict(limits))
        )
    return found
