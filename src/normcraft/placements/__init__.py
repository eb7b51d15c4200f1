"""Where normalization goes: a graph in, sites out. One file a placement, found by its name."""

from normcraft.placements._placement import Placement, placement_names

__all__ = ["Placement", "placement_names"]
