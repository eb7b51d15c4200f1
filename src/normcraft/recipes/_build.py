"""What the recipes share: the placement asked for, the seed's own, and the order of axes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from normcraft._core.errors import InputError, unknown_name
from normcraft.kinds import load_kind
from normcraft.placements import Placement, placement_names
from normcraft.surgery import place

__all__ = [
    "AS_SEED",
    "channels_last",
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
    return found.build(-1, name, shape=shape)


@contextmanager
def channels_last() -> Iterator[None]:
    """Makes layers created inside take (height, width, channels), whatever `keras.json` says."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def _refused(kind: str, site: str, reason: str) -> InputError:
    return InputError(
        f"the seed's model cannot have kind {kind!r} at {site!r}",
        received=reason,
        hint="choose another kind, or a placement",
    )
