"""Explain on generated graphs: it runs, changes nothing, and agrees with Keras and NumPy."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from keras import ops

from normcraft._core.errors import InputError
from normcraft._core.keras_private import mask_of
from normcraft.diagnostics import explain_model
from normcraft.graph import LayerGraph, functional_graph, is_normalization, named_nodes
from normcraft.placements import Placement
from normcraft.surgery import run_model
from strategies import batch_for, recipes, untouched
from tolerances import assert_close

KINDS = ("image", "sequence", "tokens", "vector")


@pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")
def test_generated_models_are_explained_as_keras_computes_them(num_graphs):
    @settings(max_examples=min(num_graphs, 60))
    @given(recipe=recipes(KINDS))
    def agrees(recipe):
        model = recipe.build()
        x = batch_for(model, 5)
        if not _has_places(model):
            with pytest.raises(InputError, match="neither normalization nor a site"):
                explain_model(model, x[0])
            return
        with untouched(model):
            found = explain_model(model, x if len(x) > 1 else x[0])
        json.dumps(found.document(), allow_nan=False)
        expected = [c.site for c in LayerGraph.read(model).calls if is_normalization(c.layer)]
        assert not expected or [layer.name for layer in found.layers] == expected
        _inputs_agree(model, found, x)
        _gaps_agree(model, found, x)

    agrees()


def _has_places(model):
    graph = LayerGraph.read(model)
    sites = Placement.parse("before_activation+after_activation").select(graph)
    return any(not site.refused for site in sites) or any(
        is_normalization(call.layer) for call in graph.calls
    )


def _inputs_agree(model, found, x):
    # What layers of the outermost model receive at inference, where no mask hides a part of it.
    tensors = {
        key: node.input_tensors[0]
        for key, node in named_nodes(functional_graph(model), "")
        if not node.is_input and is_normalization(node.operation)
    }
    if not tensors:
        return
    arrays = [np.asarray(a) for a in x]
    values = keras.Model(model.inputs, list(tensors.values()))(arrays, training=False)
    for name, value in zip(tensors, keras.tree.flatten(values), strict=True):
        # A nested model hands a mask on that its symbolic outputs do not show.
        if mask_of(value) is not None:
            continue
        layer = next(one for one in found.layers if one.name == name)
        rows = ops.convert_to_numpy(value).astype("float64").reshape(-1, value.shape[-1])
        assert_close(layer.inference_mean, rows.mean(0))
        assert_close(layer.inference_variance, rows.var(0))
        assert layer.effective_samples == len(rows) or layer.kind != "batch"


def _gaps_agree(model, found, x):
    # Where nothing keeps statistics, both modes are the same; at inference they are Keras's own.
    calls = LayerGraph.read(model).calls
    keeps = [c for c in calls if hasattr(c.layer, "moving_mean") and c.training is None]
    if not keeps:
        assert all(output.largest == 0 for output in found.outputs)
        assert all(layer.train_inference_gap == 0 for layer in found.layers)
    assert len(found.outputs) == len(run_model(model, x))
