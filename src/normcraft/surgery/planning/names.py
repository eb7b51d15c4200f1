"""Names for new layers."""

from __future__ import annotations

from itertools import chain, count

from normcraft.graph import Call, LayerGraph, Site, has_fused_activation

__all__ = ["Names"]


class Names:
    """Names derived from the site and taken by no other layer of the same model.

    Args:
        graph: The graph whose names are taken.
    """

    def __init__(self, graph: LayerGraph) -> None:
        self._taken = {call.key for call in graph.calls}

    def normalization(self, site: Site, kind: str) -> str:
        """Name of normalization at a site.

        Returns:
            For example `conv_batch_normalization`.
        """
        behind_fused = has_fused_activation(site.call.layer) and not site.inside
        return self._new(site.call, f"{'_activation' * behind_fused}_{kind}_normalization")

    def activation(self, call: Call) -> str:
        """Name of the activation that is split off a layer.

        Returns:
            For example `conv_activation`.
        """
        return self._new(call, "_activation")

    def _new(self, call: Call, ending: str) -> str:
        prefix, slash, own = call.key.rpartition("/")
        base = own.replace("@", "_") + ending
        numbered = (f"{base}_{number}" for number in count(2))
        name = next(n for n in chain([base], numbered) if prefix + slash + n not in self._taken)
        self._taken.add(prefix + slash + name)
        return name
