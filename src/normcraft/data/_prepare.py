"""What a model needs done to a dataset's inputs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from normcraft._core.errors import InputError, unknown_name
from normcraft.data._dataset import Array, Dataset

__all__ = ["prepare"]

Shape = tuple[int | None, ...]


def prepare(
    dataset: Dataset,
    input_shape: Shape,
    *,
    rescale: str = "auto",
    input_dtype: str = "float32",
    scaled_by: str | None = None,
) -> Dataset:
    """The dataset as a model with one input wants it; what was changed stands in `notes`.

    1. Integer images (samples of two or more axes) are scaled to [0, 1]: unsigned ones of 8 and 16
    bits by their type's largest value, others by 255, or 65535 where the training values need it.
    A model that scales its inputs itself gets them raw: scaled twice, they would be next to 0.
    2. A channel axis of length one is added, moved or dropped where the model's shape asks for it.
    3. Everything becomes float32, unless the model takes integers: those are left alone.

    Args:
        dataset: Data with one input array.
        input_shape: Shape of a sample at the model's input, None where any length will do.
        rescale: `"auto"`, or `"none"` to leave the values raw.
        input_dtype: Type of the model's input, as Keras names it.
        scaled_by: The layer of the model that scales its inputs; None where there is none.

    Returns:
        A new dataset; arrays that need no change are shared with the given one.

    Raises:
        InputError: There are several inputs, the shapes do not fit, floats are given to a model of
            integers, or no range can be told for integer images.

    Example:
        >>> images = Dataset("images", np.full((2, 28, 28), 255, "uint8"), np.array([0, 1]))
        >>> ready = prepare(images, (28, 28, 1))
        >>> ready.x_train.shape, float(ready.x_train.max())
        ((2, 28, 28, 1), 1.0)
        >>> ready.notes[0].partition(";")[0]
        'integer images were scaled from 0..255 to [0, 1]'
    """  # noqa: DOC501 - ruff does not see through unknown_name
    if rescale not in {"auto", "none"}:
        raise unknown_name("rescale", rescale, ("auto", "none"))
    parts = {
        "x_train": dataset.x_train,
        "x_validation": dataset.x_validation,
        "x_test": dataset.x_test,
    }
    arrays = {name: x for name, x in parts.items() if isinstance(x, np.ndarray)}
    if "x_train" not in arrays:
        raise InputError(
            "the data have several inputs",
            received=f"a {type(dataset.x_train).__name__} of arrays for input shape {input_shape}",
            expected="one array",
        )
    shape = _shape_for(arrays["x_train"].shape[1:], tuple(input_shape))
    takes_integers = input_dtype.startswith(("int", "uint"))
    are_images = rescale == "auto" and not takes_integers and _are_images(arrays)
    limit = _scale_limit(arrays["x_train"]) if are_images and scaled_by is None else None
    notes = list(dataset.notes)
    if are_images:
        notes.append(_scale_note(limit, scaled_by))
    if shape != arrays["x_train"].shape[1:]:
        notes.append(f"samples were reshaped from {arrays['x_train'].shape[1:]} to {shape}")

    def convert(name: str, x: Array) -> Array:
        values = _checked_integers(name, x) if takes_integers else _floats(x, limit)
        return values.reshape(-1, *shape)

    changed: dict[str, Any] = {name: convert(name, x) for name, x in arrays.items()}
    if dataset.stream is not None:
        changed["stream"] = dataset.stream.changed("x", partial(convert, "x_train"))
    return replace(dataset, **changed, notes=tuple(notes))


def _shape_for(shape: tuple[int, ...], wanted: Shape) -> tuple[int, ...]:
    # The shape of a sample, with a channel axis of length one added, moved or dropped as wanted.
    bare = [shape]
    bare += [shape[:-1]] if shape[-1:] == (1,) else []
    bare += [shape[1:]] if shape[:1] == (1,) else []
    candidates = [form for base in bare for form in (base, (*base, 1), (1, *base))]
    for form in candidates:
        if len(form) == len(wanted) and all(
            w in {None, n} for n, w in zip(form, wanted, strict=True)
        ):
            return form
    raise InputError(
        "the data do not fit the model's input",
        received=f"samples of shape {shape}",
        expected=f"shape {wanted}",
        hint="reshape the data, or build the model for them",
    )


def _are_images(arrays: dict[str, Array]) -> bool:
    # Whether the inputs are integer images, in all parts.
    train = arrays["x_train"]
    # A series of one channel, (steps, 1), is no image.
    if train.dtype.kind not in "iu" or sum(length != 1 for length in train.shape[1:]) < 2:
        return False
    for name, x in arrays.items():
        if x.dtype.kind not in "iu":
            raise InputError(
                f"{name} and x_train differ in type, so one scale does not fit both",
                received=f"{x.dtype} beside {train.dtype}",
                expected="integers in both, or floats in both",
                hint="convert one of them, or use --rescale none (rescale='none')",
            )
    return True


def _scale_note(limit: int | None, scaled_by: str | None) -> str:
    if limit is None:
        return f"integer images were left raw, as {scaled_by!r} in the model scales them"
    return (
        f"integer images were scaled from 0..{limit} to [0, 1]; --rescale none (rescale='none') "
        "leaves them raw"
    )


def _scale_limit(train: Array) -> int:
    # The value that becomes 1.
    if train.dtype in {np.dtype("uint8"), np.dtype("uint16")}:
        return int(np.iinfo(train.dtype).max)
    low, high = (int(train.min()), int(train.max()))
    limit = next((limit for limit in (255, 65535) if low >= 0 and high <= limit), None)
    if limit is None:
        raise InputError(
            "no range can be told for the integer images",
            received=f"{train.dtype} values from {low} to {high}",
            expected="values from 0 to 255 or to 65535",
            hint="scale them yourself, or use --rescale none (rescale='none')",
        )
    return limit


def _floats(x: Array, limit: int | None) -> Array:
    if limit:
        return np.divide(x, limit, dtype=np.float32)
    return x.astype(np.float32, copy=False)


def _checked_integers(name: str, x: Array) -> Array:
    if x.dtype.kind == "f":
        raise InputError(
            f"{name} holds floats, and the model takes integers",
            received=f"dtype {x.dtype}",
            expected="an integer dtype",
            hint="cast the data if they are whole numbers",
        )
    return x
