"""What the recipes share: checked sizes, Keras's own axis order, and the placement asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import keras

from normcraft._core.errors import InputError, unknown_name
from normcraft.kinds import load_kind
from normcraft.placements import Placement, placement_names
from normcraft.surgery import place

__all__ = [
    "AS_SEED",
    "channels_last",
    "check_activation",
    "check_classes",
    "check_image",
    "check_rate",
    "check_size",
    "check_sizes",
    "finish",
    "normalization",
    "seed_kind",
    "seeded",
]

AS_SEED = "as_seed"


def finish(model: keras.Model, placement: str | Placement, kind: str) -> keras.Model:
    """The model of a seed with its normalization placed as asked for.

    Args:
        model: The compiled model as the seed wrote it.
        placement: `"as_seed"` leaves it; anything else first removes the normalization there is.
        kind: Kind of normalization to insert.

    Returns:
        The model itself, or a copy compiled alike.

    Raises:
        InputError: The placement is unknown, or refused wherever it would put normalization.
    """  # noqa: DOC501 - ruff does not see through unknown_name
    load_kind(kind)  # names the kinds there are, also where none is going to be inserted
    if placement == AS_SEED:
        # Else Keras warns when the model is saved and loaded before it was trained.
        model.optimizer.build(model.trainable_variables)
        return model
    names = [name.strip() for name in str(placement).split("+")]
    known = (*placement_names(), AS_SEED)
    for name in names:
        if name not in known:
            raise unknown_name("placement", name, known)
    # The model as given to `place` is the seed's.
    given = "+".join("as_given" if name == AS_SEED else name for name in names)
    result = place(model, given, kind=kind)
    if result.skipped and not result.inserted:
        site, reason = result.skipped[0]
        raise InputError(
            f"placement {str(placement)!r} puts no {kind!r} normalization into {model.name!r}",
            received=f"refused at {site!r}: {reason}",
            hint="choose another placement or kind",
        )
    return result.model


def seed_kind(placement: str | Placement, kind: str) -> str:
    """Kind of the normalization that a seed has at its own places.

    Args:
        placement: The placement asked for.
        kind: The kind asked for.

    Returns:
        That kind where the seed's own places stay, else `"batch"`, as in the seeds.
    """
    return kind if AS_SEED in str(placement) else "batch"


def seeded(model: keras.Model, placement: str, kind: str) -> keras.Model:
    """The model of a seed whose normalization stands where a placement says.

    Args:
        model: The compiled model without normalization.
        placement: The seed's placement.
        kind: Kind of normalization.

    Returns:
        A copy compiled alike.

    Raises:
        InputError: This kind cannot stand at every place where the seed has normalization.
    """  # noqa: DOC501, DOC502 - ruff does not see through _refused
    result = place(model, placement, kind=kind)
    for site, reason in result.skipped:
        raise _refused(kind, site, reason)
    return result.model


def normalization(kind: str, name: str, shape: tuple[int | None, ...]) -> Any:
    """A normalization layer for the last axis, where a seed's own model has one.

    Args:
        kind: Kind of normalization.
        name: Name of the layer.
        shape: Shape of what it will normalize, with the batch axis.

    Returns:
        The layer, not yet built.

    Raises:
        InputError: This kind cannot normalize such a tensor.
    """  # noqa: DOC501, DOC502 - ruff does not see through _refused
    found = load_kind(kind)
    reason = found.refusal(shape, -1)
    if reason:
        raise _refused(kind, name, reason)
    channels = shape[-1]
    assert channels is not None
    return found.build(-1, name, channels=channels)


@contextmanager
def channels_last() -> Iterator[None]:
    """Makes layers created inside take (height, width, channels), whatever `keras.json` says."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def check_size(name: str, value: Any, *, least: int = 1) -> int:
    """A whole number that a layer's size can be.

    Args:
        name: Name of the parameter.
        value: What was given.
        least: The smallest value that makes sense.

    Returns:
        The number.

    Raises:
        InputError: It is no whole number, or too small.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(
            f"{name} cannot be used",
            received=repr(value),
            expected=f"a whole number of at least {least}",
        )
    return int(value)


def check_classes(value: Any) -> int:
    """A number of classes.

    Returns:
        The number, 2 or more.
    """
    return check_size("classes", value, least=2)


def check_sizes(name: str, values: Any, *, length: int | None = None) -> tuple[int, ...]:
    """Sizes of several layers.

    Args:
        name: Name of the parameter.
        values: What was given.
        length: How many there must be; None for any number from one on.

    Returns:
        The sizes.

    Raises:
        InputError: It is no sequence of that length, or one of them is no size.
    """
    count = len(values) if _is_sequence(values) else 0
    if count == 0 or length not in {None, count}:
        raise InputError(
            f"{name} cannot be used",
            received=repr(values),
            expected=f"a tuple of {length or 'one or more'} whole numbers",
        )
    return tuple(check_size(name, value) for value in values)


def check_image(shape: Any, *, smallest: int) -> tuple[int, int, int]:
    """The shape of one image.

    Args:
        shape: What was given.
        smallest: Height and width below which nothing would be left for the last layers.

    Returns:
        (height, width, channels).

    Raises:
        InputError: It is no such shape, or too small for the network.
    """
    sizes = [int(n) for n in shape if isinstance(n, Integral)] if _is_sequence(shape) else []
    if len(sizes) != 3 or len(shape) != 3 or min(sizes) < 1:
        raise InputError(
            "input_shape cannot be used",
            received=repr(shape),
            expected="(height, width, channels), whole numbers of at least 1",
        )
    height, width, channels = sizes
    if min(height, width) < smallest:
        raise InputError(
            "the images are too small for this network's convolutions and pooling",
            received=f"{height} x {width}",
            expected=f"at least {smallest} x {smallest}",
            hint="digits_cnn takes images from 4 x 4 on" if smallest > 4 else None,
        )
    return height, width, channels


def check_rate(name: str, value: Any, *, below: float = math.inf) -> float:
    """A rate: above zero for a learning rate, from zero to below one for dropout.

    Args:
        name: Name of the parameter.
        value: What was given.
        below: Upper limit, itself excluded; 1 also allows zero.

    Returns:
        The number.

    Raises:
        InputError: It is no number, or outside these limits.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not (0 < value < below or (below == 1 and value == 0)):
        raise InputError(
            f"{name} cannot be used",
            received=repr(value),
            expected="a number from 0 to below 1" if below == 1 else "a finite number above 0",
        )
    return float(value)


def check_activation(name: Any) -> str:
    """The name of a Keras activation.

    Args:
        name: What was given.

    Returns:
        The name.

    Raises:
        InputError: Keras has no activation of that name.
    """
    if not isinstance(name, str) or not _is_activation(name):
        raise InputError(
            "unknown activation",
            received=repr(name),
            expected="the name of a Keras activation, for example 'relu', 'sigmoid' or 'tanh'",
        )
    return name


def _refused(kind: str, site: str, reason: str) -> InputError:
    return InputError(
        f"the seed's model cannot have kind {kind!r} at {site!r}",
        received=reason,
        hint="choose another kind, or a placement",
    )


def _is_activation(name: str) -> bool:
    try:
        return callable(keras.activations.get(name))
    except (TypeError, ValueError):
        return False


def _is_sequence(value: Any) -> bool:
    return isinstance(value, tuple | list)
