"""One pass that removes, inserts and swaps activations: how every arm of a comparison is made."""

from __future__ import annotations

from typing import Any

import keras

from normcraft._core.errors import InputError
from normcraft.graph import Criteria, LayerGraph, Selection
from normcraft.kinds import kind_names, load_kind
from normcraft.placements import Placement
from normcraft.surgery.calibrate import calibrate_identity, check_inputs
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.planning import (
    Plan,
    plan_activations,
    plan_biases,
    plan_insertions,
    plan_removal,
)
from normcraft.surgery.result import EditResult
from normcraft.surgery.verify import checked

__all__ = ["place"]


def place(
    model: keras.Model,
    placement: str | Placement,
    *,
    kind: str = "batch",
    activation: str | None = None,
    only: Criteria = None,
    skip: Criteria = None,
    shared: bool = False,
    calibrate: Any = None,
    verify: Any = False,
) -> EditResult:
    """Puts normalization where a placement says: what is there goes first, unless it is `as_given`.

    Args:
        model: A built model; it is not changed.
        placement: For example `"before_activation"` or `"input+after_activation"`.
        kind: Kind of normalization to insert.
        activation: Replaces all hidden activations, for example `"sigmoid"`; None leaves them.
        only: Which calls are meant, as `insert_normalization` says; None for all.
        skip: Which calls are left alone.
        shared: Whether all calls of a shared layer get one normalization layer.
        calibrate: Inputs on which the insertion is made an identity at inference; None to leave
            inserted layers fresh.
        verify: As `insert_normalization` says.

    Returns:
        An edited copy with its evidence. Weights of all other layers, names, flags, policies,
        compile settings and optimizer state are kept.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8, "relu", name="a"), layers.Dense(2)])
        >>> [layer.name for layer in place(model, "before_activation").model.layers][:3]
        ['a', 'a_batch_normalization', 'a_activation']
    """
    if calibrate is not None:
        _check_kind(kind)
        check_inputs(model, calibrate)
    parsed, graph = Placement.parse(placement), LayerGraph.read(model)
    selection = Selection(graph, only, skip)
    plan, bare = Plan(), graph
    going = [call for call in parsed.removed(graph) if call in selection]
    if going or not parsed.keeps_existing:
        bare = plan_removal(plan, graph, going, fold=calibrate is not None)
    sites = [site for site in parsed.select(bare) if site.call in selection]
    plan_insertions(plan, bare, sites, kind, shared=shared)
    plan_biases(plan, graph, bare)
    if activation is not None:
        plan_activations(plan, bare, activation, selection)
    result, inserted = carry_out(model, graph, plan)
    if calibrate is not None:
        result = calibrate_identity(model, result, inserted, calibrate)
    return checked(model, result, verify)


def _check_kind(kind: str) -> None:
    if not hasattr(load_kind(kind), "set_statistics"):
        able = [name for name in kind_names() if hasattr(load_kind(name), "set_statistics")]
        raise InputError(
            f"{kind} normalization cannot be calibrated to an identity",
            received=f"kind {kind!r}, whose statistics come from each input",
            expected=f"a kind that keeps statistics: {', '.join(able)}",
            hint="leave out the data of the calibration, or choose that kind",
        )
