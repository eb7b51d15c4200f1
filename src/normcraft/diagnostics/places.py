"""Where an explanation looks: at normalization, or at the sites where one could be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from normcraft._core.errors import InputError, did_you_mean
from normcraft.graph import Call, LayerGraph, is_normalization, layers_inside, unwrapped
from normcraft.placements import Placement
from normcraft.surgery.planning.insertion import refusal

__all__ = ["Place", "hidden_normalization", "places_of"]

SITES = ("before_activation", "after_activation")
FEW = 12  # names that an error lists


@dataclass(frozen=True, eq=False)
class Place:
    """One place to look at.

    Attributes:
        call: The normalization call, or the call whose result is looked at.
        placement: What a site is; None for normalization.
        inside: Whether the site is before the activation fused into the call.
        axis: Axis of the channels.
    """

    call: Call
    placement: str | None
    inside: bool
    axis: int

    @property
    def key(self) -> tuple[str, bool]:
        """What the place is called where a model is walked through."""
        return self.call.site, self.inside


def places_of(graph: LayerGraph, name: str | None = None) -> tuple[Place, ...]:
    """The places of a model.

    Args:
        graph: Its graph.
        name: Name of a normalization call, of its layer, or of a site; None for all.

    Returns:
        Of all normalization calls; where there are none, or where one is named, of sites.

    Raises:
        InputError: If there is no such place, or none at all.
    """  # noqa: DOC501 - ruff does not see through _unknown
    calls = [c for c in graph.calls if is_normalization(c.layer)]
    found = [Place(call, None, False, _axis(graph, call)) for call in calls]
    if found and name is None:
        return tuple(found)
    found += _sites(graph.without(calls))
    if not found:
        raise InputError(
            "the model has neither normalization nor a site for it",
            received="no Dense or convolution layer that another one follows",
            expected="a hidden Dense or convolution layer, or a normalization layer",
        )
    if name is None:
        return tuple(found)
    chosen = [p for p in found if name in {p.call.site, p.call.layer.name}]
    if not chosen:
        raise _unknown(name, [place.call.site for place in found])
    return tuple(chosen)


def _unknown(name: str, sites: list[str]) -> InputError:
    names = list(dict.fromkeys(sites))
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return InputError(
        "unknown layer",
        received=repr(name),
        expected=f"one of {', '.join(names[:FEW])}{more}",
        hint=did_you_mean(name, names),
    )


def _sites(graph: LayerGraph) -> list[Place]:
    found: dict[tuple[str, bool], Place] = {}
    for placement in SITES:
        for site in Placement.parse(placement).select(graph):
            usable = not site.refused and refusal(graph, site.call) is None
            if usable and (site.name, site.inside) not in found:
                axis = graph.channel_axis(site.call)
                found[site.name, site.inside] = Place(site.call, placement, site.inside, axis)
    order = {call.site: number for number, call in enumerate(graph.calls)}
    return sorted(found.values(), key=lambda place: (order[place.call.site], not place.inside))


def _axis(graph: LayerGraph, call: Call) -> int:
    own: Any = unwrapped(call.layer).axis
    axes = own if isinstance(own, list | tuple) else [own]
    if len(axes) != 1:
        return graph.channel_axis(graph.producer(call.inputs[0]))
    axis = int(axes[0])
    inside_steps = unwrapped(call.layer) is not call.layer and axis >= 0
    return axis + 1 if inside_steps else axis


def hidden_normalization(graph: LayerGraph) -> list[str]:
    """Calls with normalization inside that no graph shows.

    Args:
        graph: A graph.

    Returns:
        Names of calls of layers, or of models that cannot be opened.
    """
    return [c.site for c in graph.calls if layers_inside(c.layer, is_normalization)]
