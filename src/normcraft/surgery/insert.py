"""Insert normalization into a model."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.graph import Criteria
from normcraft.placements import Placement
from normcraft.surgery.place import place
from normcraft.surgery.result import EditResult

__all__ = ["insert_normalization"]


def insert_normalization(
    model: keras.Model,
    placement: str | Placement = "before_activation",
    *,
    kind: str = "batch",
    only: Criteria = None,
    skip: Criteria = None,
    shared: bool = False,
    calibrate: Any = None,
    verify: Any = False,
) -> EditResult:
    """Puts normalization into a copy of a model; what is there already is removed first.

    A fused activation is split off where normalization goes in front of it. A bias that batch
    normalization would subtract again is dropped and moves into its shift, which leaves the output
    at inference as it was.

    With `calibrate`, the insertion is an identity at inference (to rounding): each inserted layer
    gets the mean μ and variance σ² of what it receives on that data as its moving statistics, and
    γ = √(σ² + ε), β = μ. Training goes on from there as with normalization that was always there
    (compare the rescaling of Ioffe and Szegedy, 2015, section 3). Normalization that the placement
    asks to go is then folded into the layer before it, or into the new normalization where that
    takes its place; what cannot be folded is kept and listed.

    Args:
        model: A built model: Sequential, Functional, or a subclass whose `call` can be traced.
            It is not changed.
        placement: Where, for example `"before_activation"`, `"input+after_activation"`; begin with
            `"as_given+"` to keep normalization that is there.
        kind: `"batch"`, `"layer"`, `"group"`, `"instance"` or `"rms"`.
        only: Which calls are meant: a pattern for the name of a site or layer (`"block1_*"`), a
            class (`"type=Conv2D"`), a depth (`"depth<4"`), a function of a `Call`, or several of
            these of which any is enough; None for all. An activation, pooling or normalization is
            meant with the Dense or convolution before it.
        skip: Which of these are left alone.
        shared: Whether all calls of a shared layer get one normalization layer, as PyTorch modules
            would have it, rather than one each with statistics of its own.
        calibrate: Inputs as `Model.predict` takes arrays, some hundred rows; None leaves inserted
            layers as Keras initializes them. For kinds that keep statistics (`"batch"`).
        verify: True to compare the copy with the model on inputs made up (see
            `verify_equivalence`), or inputs to compare on as well; False for no check.

    Returns:
        The copy with what was inserted, removed, kept and refused.

    Raises:
        InputError: If a name, a criterion or the data cannot be used.
        SurgeryError: If the model cannot be edited.
        EquivalenceError: If the copy was to be verified and does not compute the same.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8, "relu", name="a"), layers.Dense(2)])
        >>> result = insert_normalization(model, "before_activation")
        >>> result.inserted, result.biases_dropped
        ((('a', 'batch'),), 1)
    """  # noqa: DOC502 - raised further down
    return place(
        model,
        placement,
        kind=kind,
        only=only,
        skip=skip,
        shared=shared,
        calibrate=calibrate,
        verify=verify,
    )
