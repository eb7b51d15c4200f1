"""`--placements auto`: every placement that exists for a model, and variants of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import keras

from normcraft.graph import LayerGraph, is_normalization
from normcraft.placements import Placement, placement_names
from normcraft.records import Arm
from normcraft.studies.design import AUTO, Grid

__all__ = ["auto_placements", "placement_variants", "resolve_auto", "variants_of"]

PARTS = ("first", "hidden")
SiteSet = frozenset[tuple[str, bool]]


def resolve_auto(grid: Grid, model: keras.Model, *, variants: bool) -> tuple[Grid, bool]:
    """A grid with its placements named, where it leaves them to the model.

    Args:
        grid: The grid.
        model: The model.
        variants: Whether variants may be tried: where the best of their parents are searched for.

    Returns:
        The grid, and whether variants were added.
    """
    if grid.placements != AUTO:
        return grid, False
    found = auto_placements(model)
    more = placement_variants(model, found) if variants else ()
    return replace(grid, placements=(*found, *more)), variants


def auto_placements(model: keras.Model) -> tuple[str, ...]:
    """Every placement that exists for a model: it has a site there, and no other has the same ones.

    Args:
        model: A model.

    Returns:
        Placements: `as_given` where the model has normalization, `none`, and the others, those
        that change the hidden layers first.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> auto_placements(Sequential([Input((4,)), layers.Dense(8), layers.Dense(2)]))
        ('none', 'before_activation', 'input', 'output')
    """
    graph = LayerGraph.read(model)
    calls = [call for call in graph.calls if is_normalization(call.layer)]
    bare = graph.without(calls)
    found: dict[SiteSet, str] = {}
    for name in sorted(placement_names(), key=_rank):
        sites = _sites(bare, name)
        if sites:
            found.setdefault(sites, name)
    return (*(("as_given",) if calls else ()), "none", *found.values())


def placement_variants(model: keras.Model, placements: Sequence[str]) -> tuple[str, ...]:
    """The variants of placements: in the first blocks only, and without what stands at the output.

    Args:
        model: A model.
        placements: Their parents.

    Returns:
        Those that have sites, but fewer than their parent.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8), layers.Dense(8), layers.Dense(2)])
        >>> placement_variants(model, ["none", "before_activation", "output"])
        ('before_activation@first',)
    """
    graph = LayerGraph.read(model)
    calls = [call for call in graph.calls if is_normalization(call.layer)]
    bare = graph.without(calls)
    found: dict[object, str] = {}
    for parent in placements:
        whole = _what(graph, bare, parent)
        for part in PARTS:
            less = _what(graph, bare, f"{parent}@{part}")
            if less and less != whole:
                found.setdefault((parent, less), f"{parent}@{part}")
    return tuple(found.values())


def variants_of(arms: Sequence[Arm]) -> Iterator[tuple[str, str]]:
    """Arms that are variants of others.

    Args:
        arms: All arms.

    Yields:
        `(name, parent)`.
    """
    parents = {_key(arm, arm.placement): arm.name for arm in arms}
    for arm in arms:
        parent, at, _ = arm.placement.partition("@")
        if at and _key(arm, parent) in parents:
            yield arm.name, parents[_key(arm, parent)]


def _key(arm: Arm, placement: str) -> tuple[object, ...]:
    return placement, arm.kind, arm.activation, arm.batch_size


def _rank(name: str) -> tuple[int, str]:
    # Of two with the same sites the first is named.
    order = ("before_activation", "after_activation", "after_pooling", "input", "output")
    return (order.index(name) if name in order else len(order), name)


def _sites(graph: LayerGraph, placement: str) -> SiteSet:
    sites = Placement.parse(placement).select(graph)
    return frozenset((site.name, site.inside) for site in sites if not site.refused)


def _what(graph: LayerGraph, bare: LayerGraph, placement: str) -> SiteSet:
    # What is normalized: sites, or the normalization that stays.
    parsed = Placement.parse(placement)
    if not parsed.keeps_existing:
        return _sites(bare, placement)
    removed = {call.site for call in parsed.removed(graph)}
    calls = (call for call in graph.calls if is_normalization(call.layer))
    return frozenset((call.site, False) for call in calls if call.site not in removed)
