"""Reading a Keras model as a graph of calls; nothing here changes a model."""

from normcraft.graph.families import (
    activation_name,
    float_policy,
    has_fused_activation,
    is_activation,
    is_addition,
    is_linear,
    is_multiplication,
    is_normalization,
    is_pooling,
    is_wrapped_linear,
    keeps_channels,
    layers_inside,
    transposition,
    unwrapped,
)
from normcraft.graph.layer_graph import LayerGraph
from normcraft.graph.preprocessing import scaling_site
from normcraft.graph.reader import TRACEABLE, Call, Value, functional_graph, named_nodes
from normcraft.graph.selection import Criteria, Selection, depths, layer_of
from normcraft.graph.site import Site, activations_after

__all__ = [
    "TRACEABLE",
    "Call",
    "Criteria",
    "LayerGraph",
    "Selection",
    "Site",
    "Value",
    "activation_name",
    "activations_after",
    "depths",
    "float_policy",
    "functional_graph",
    "has_fused_activation",
    "is_activation",
    "is_addition",
    "is_linear",
    "is_multiplication",
    "is_normalization",
    "is_pooling",
    "is_wrapped_linear",
    "keeps_channels",
    "layer_of",
    "layers_inside",
    "named_nodes",
    "scaling_site",
    "transposition",
    "unwrapped",
]
