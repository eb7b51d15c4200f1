"""The arms of a study: each variant of the model, built once, with its description."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from normcraft._core.keras_private import (
    DecayExclusions,
    compile_arguments,
    decay_exclusions,
    sublayers,
)
from normcraft.graph import LayerGraph, is_normalization
from normcraft.records import Arm
from normcraft.studies.design import Grid
from normcraft.studies.digests import code_digest
from normcraft.surgery import foldable, place

__all__ = ["BuiltArm", "build_arms", "default_placements"]


@dataclass(frozen=True, eq=False)
class BuiltArm:
    """An arm with its compiled model.

    Attributes:
        arm: The description.
        model: The model.
    """

    arm: Arm
    model: keras.Model


def default_placements(model: keras.Model) -> tuple[str, ...]:
    """Placements that a comparison tries where none are named, the baseline first.

    Returns:
        `none`, `before_activation` and `after_activation`; `as_given` before them where the model
        has normalization.
    """
    calls = LayerGraph.read(model).calls
    given = ("as_given",) if any(is_normalization(call.layer) for call in calls) else ()
    return (*given, "none", "before_activation", "after_activation")


def build_arms(model: keras.Model, grid: Grid) -> tuple[BuiltArm, ...]:
    """Builds every arm of a grid.

    Args:
        model: The compiled model; it is not changed.
        grid: What varies.

    Returns:
        The arms, in the order of the grid.
    """
    variants = grid.variants(default_placements(model))
    return tuple(_build(model, grid, *variant) for variant in variants)


def _build(
    model: keras.Model,
    grid: Grid,
    placement: str,
    kind: str | None,
    activation: str | None,
    batch_size: int,
) -> BuiltArm:
    result = place(model, placement, kind=kind or "batch", activation=activation)
    config = keras.saving.serialize_keras_object(result.model)
    # What no configuration says.
    unsaid = {
        "excluded_from_weight_decay": _in_order(decay_exclusions(result.model)),
        "code": code_digest(result.model),
    }
    config |= {name: value for name, value in unsaid.items() if value is not None}
    arm = Arm(
        name=grid.name(placement, kind, activation, batch_size),
        placement=placement,
        kind=kind,
        activation=activation,
        batch_size=batch_size,
        config=json.dumps(config, sort_keys=True, default=str),
        parameters=result.model.count_params(),
        foldable=foldable(result.model),
        inserted=result.inserted,
        skipped=result.skipped,
        biases_dropped=result.biases_dropped,
    )
    return BuiltArm(arm, result.model)


def _in_order(excluded: DecayExclusions | None) -> list[str] | None:
    # Keras joins the names in an order that is another in each process.
    return excluded and sorted([*excluded.variables, *(excluded.pattern or "").split("|")])


def custom_objects(model: keras.Model) -> dict[str, Any]:
    """Classes and functions of the user's own that a saved model names and Keras has to be given.

    Args:
        model: A model, compiled or not.

    Returns:
        The objects by the name under which Keras writes them.
    """
    settings = keras.tree.flatten(compile_arguments(model))
    functions = [value for value in settings if callable(value) and hasattr(value, "__name__")]
    classes = [type(part) for part in (*sublayers(model), *settings)]
    return {
        part.__name__: part
        for part in (*functions, *classes)
        if part.__module__.split(".")[0] not in {"keras", "builtins"}
    }


def baseline_of(arms: Sequence[Arm]) -> str:
    """The arm that every other is tested against.

    Returns:
        The first `as_given`, else the first `none`, else the first arm.
    """
    for placement in ("as_given", "none"):
        for arm in arms:
            if arm.placement == placement:
                return arm.name
    return arms[0].name
