"""The laws of surgery on generated graphs, and what these graphs hold.

`pytest tests/surgery/test_generated_graphs.py --graphs 10000` tries that many, not what CI does.
"""

from collections import Counter

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from keras import layers

from normcraft.graph import LayerGraph, is_normalization
from normcraft.kinds import kind_names
from normcraft.placements import placement_names
from normcraft.surgery import (
    insert_normalization,
    move_normalization,
    place,
    remove_normalization,
    replace_normalization,
    swap_activation,
)
from strategies import (
    PLAIN_KINDS,
    arrays,
    batch_for,
    outputs,
    realistic,
    recipes,
    same,
    untouched,
    weights_by_path,
)
from tolerances import IDENTITY

# What a mask cannot pass, Keras says for every model that is built.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")

KINDS = (*PLAIN_KINDS, "tokens", "image_first")
if keras.backend.backend() == "tensorflow":
    KINDS = KINDS[:-1]  # its convolutions on a CPU know channels_last alone
# Those that many graphs have no place for are joined by one that all have.
SELDOM = ("after_add", "after_pooling", "before_add")
PLACEMENTS = (
    *(name for name in placement_names() if name not in {"as_given", "none", *SELDOM}),
    *(f"{name}+after_activation" for name in SELDOM),
    *("input+before_activation+output", "as_given+after_activation", "before_add+after_add"),
)
FEATURES = (
    *("shared layer", "nesting", "branch", "add", "mask", "channels_first", "fused activation"),
    *("separate activation", "depthwise", "transpose"),
)
SHARDS = 4  # so that workers share the graphs


def features(model: keras.Model) -> set[str]:
    """What a model holds, read from Keras alone."""
    parts = [part for part in model._flatten_layers() if isinstance(part, keras.Model)]
    graphs = [getattr(part, "_functional", part) for part in parts]
    operations = [operation for graph in graphs for operation in graph.operations]
    plain = [op for op in operations if not isinstance(op, keras.Model | layers.InputLayer)]
    nodes = [node for graph in graphs for depth in graph._nodes_by_depth.values() for node in depth]
    taken = Counter(id(t) for node in nodes for t in node.input_tensors)
    masks = [node for node in nodes if node.arguments.kwargs.get("mask") is not None]
    names = [type(operation).__name__ for operation in plain]
    fused = [op for op in plain if getattr(op, "activation", None) is not None]
    fused = [op for op in fused if isinstance(op, layers.Dense | layers.Conv1D | layers.Conv2D)]
    held = {
        "shared layer": max(Counter(id(node.operation) for node in nodes).values()) > 1,
        "nesting": len(parts) > 1,
        "branch": max(taken.values()) > 1 + bool(masks),
        "add": "Add" in names,
        "mask": bool(masks),
        "channels_first": any(_format(op) == "channels_first" for op in plain),
        "fused activation": any(op.activation is not keras.activations.linear for op in fused),
        "separate activation": bool({"LeakyReLU", "ReLU", "PReLU", "Activation"} & {*names}),
        "depthwise": any("Depthwise" in name for name in names),
        "transpose": any("Transpose" in name for name in names),
    }
    return {name for name, holds in held.items() if holds}


def _format(operation) -> str | None:
    return getattr(operation, "data_format", None)


def on_graphs(number: int, shard: int, check) -> None:
    """Calls `check(recipe, placement, kind)` on that many graphs, the same ones for one shard."""

    # The graphs are small as they come; making failing ones smaller takes minutes.
    @seed(shard)
    @settings(max_examples=number, derandomize=False, database=None, phases=[Phase.generate])
    @given(recipes(KINDS, min_blocks=2), st.sampled_from(PLACEMENTS), st.sampled_from(kind_names()))
    def run(recipe, placement, kind):
        check(recipe, placement, kind)

    run()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_laws_hold_on_generated_graphs(shard, num_graphs, tmp_path):
    edited = []

    def laws(recipe, placement, kind):
        model = realistic(recipe.build(), seed=shard)
        with untouched(model):
            inserted = check_insertion(model, placement, kind)
            check_removal(model, placement, kind)
            edited.append(check_calibration(model, placement, tmp_path) or inserted)
            check_replacement(model)
            check_moves(model)

    number = -(-num_graphs // SHARDS)
    on_graphs(number, shard, laws)
    assert len(edited) >= number * 0.95
    # A handful of graphs is no sample; all of them are counted below.
    assert len(edited) < 50 or sum(edited) > 0.8 * len(edited)


@pytest.mark.skipif(keras.backend.backend() != "numpy", reason="the other backends try a sample")
def test_the_graphs_hold_what_breaks_surgery(num_graphs):
    found, edited = [], []

    def look(recipe, placement, kind):
        model = recipe.build()
        found.append(features(model))
        kinds = (kind, "batch")
        edited.append(any(place(model, placement, kind=one).modified for one in kinds))

    for shard in range(SHARDS):
        on_graphs(-(-num_graphs // SHARDS), shard, look)
    seen = Counter(name for names in found for name in names)
    rare = {name: seen[name] for name in FEATURES if seen[name] < 0.1 * len(found)}
    assert not rare, f"too few of {len(found)} graphs have these: {rare} of {dict(seen)}"
    assert sum(edited) >= 0.9 * len(edited), "an edit that refuses everything breaks no law"


def check_insertion(model, placement, kind) -> bool:
    """Shapes and weights are kept, and the same edit gives the same model. Was anything edited?"""
    result, again = (place(model, placement, kind=kind) for _ in range(2))
    assert [t.shape for t in result.model.outputs] == [t.shape for t in model.outputs]
    assert result.model.get_config() == again.model.get_config()
    assert same(result.model.get_weights(), again.model.get_weights())
    assert result.document() == again.document()
    before, after = weights_by_path(model), weights_by_path(result.model)
    assert all(np.array_equal(before[path], after[path]) for path in before.keys() & after.keys())
    assert all(np.all(np.isfinite(value)) for value in outputs(result.model))
    return result.modified


def check_removal(model, placement, kind) -> None:
    """Drop after insert is drop of the original, bit for bit; folding keeps the function."""
    bare = without_biases(model)
    inserted = place(bare, placement, kind=kind).model
    left, right = remove_normalization(inserted), remove_normalization(bare)
    assert not any(is_normalization(c.layer) for c in LayerGraph.read(left.model).calls)
    assert same(outputs(left.model), outputs(right.model))
    folded = remove_normalization(model, mode="fold")
    close(folded.model, model)
    stays = {site for site, _ in folded.kept}
    assert {c.site for c in LayerGraph.read(model).calls if is_normalization(c.layer)} >= stays


def check_calibration(model, placement, folder) -> bool:
    """A calibrated insertion keeps what the model computes and survives a file. Was there one?"""
    x = batch_for(model, 16)
    result = insert_normalization(model, placement, calibrate=x if len(x) > 1 else x[0])
    close(result.model, model)
    if not placement.startswith("as_given"):  # what was to go is gone or listed
        old = {c.site for c in LayerGraph.read(model).calls if is_normalization(c.layer)}
        assert old == {*result.removed} | {site for site, _ in result.kept} or shares(model)
    result.model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    assert same(outputs(loaded), outputs(result.model))
    return bool(result.inserted)


def shares(model) -> bool:
    """Whether sites and keys differ: a nested model is used twice."""
    calls = LayerGraph.read(model).calls
    return len({call.key for call in calls}) < len(calls)


def check_replacement(model) -> None:
    """Another kind and back again: what was learned comes back."""
    there = replace_normalization(model, "group")
    back = replace_normalization(there.model, "batch")
    swapped = {site for site, _ in there.replaced} & {site for site, _ in back.replaced}
    before, after = weights_by_path(model), weights_by_path(back.model)
    for site in swapped:
        name = site.rpartition("@")[0] or site
        for weight in ("gamma", "beta"):
            paths = [path for path in before if path.endswith(f"{name.split('/')[-1]}/{weight}")]
            assert all(np.array_equal(before[path], after[path]) for path in paths)
    assert there.modified == bool(there.replaced)


def check_moves(model) -> None:
    """What moves keeps its weights, and other activations leave every weight alone."""
    moved = move_normalization(model, "after_activation")
    before, after = arrays(model.weights), arrays(moved.model.weights)
    sums = {float(np.sum(value)) for value in after}
    gained = moved.biases_restored
    assert len(after) == len(before) + gained - moved.biases_dropped
    if not moved.biases_dropped:
        assert {float(np.sum(value)) for value in before} <= sums | {0.0}
    before, after = weights_by_path(model), weights_by_path(swap_activation(model, "gelu").model)
    assert before.keys() - after.keys() <= {path for path in before if path.endswith("alpha")}
    assert all(np.array_equal(before[path], after[path]) for path in after)


def without_biases(model):
    """A copy whose biases are zero, so that dropping one changes nothing."""
    copy = place(model, "as_given").model
    for weight in copy.weights:
        if weight.path.endswith("/bias"):
            weight.assign(np.zeros(weight.shape))
    return copy


def close(copy, model) -> None:
    """Relative to the largest output, or where all cancel to the size that activations have.

    A model that magnifies the rounding of its own weights is allowed five times what that does.
    """
    expected = outputs(model)
    moved = distance(outputs(copy), expected)
    if moved > IDENTITY["float32"]:  # one graph in some thousands
        assert moved < 5 * distance(outputs(rounded(model)), expected)


def distance(actual, expected) -> float:
    pairs = zip(actual, expected, strict=True)
    return max(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 0.1) for a, b in pairs)


def rounded(model):
    """A copy whose weights are moved by one unit in their last place, up or down."""
    copy, generator = place(model, "as_given").model, np.random.default_rng(0)
    for weight in copy.weights:
        value = np.array(keras.ops.convert_to_numpy(weight))
        if value.dtype.kind == "f":
            towards = generator.choice(np.array([-np.inf, np.inf], value.dtype), value.shape)
            weight.assign(np.nextafter(value, towards))
    return copy
