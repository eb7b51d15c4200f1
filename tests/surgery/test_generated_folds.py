"""Folding on generated graphs: never wrong, and nothing left that an oracle says can fold.

`pytest tests/surgery/test_generated_folds.py --graphs 10000` tries that many.
"""

import keras
import numpy as np
import pytest
from benchmarks import surgery_applications as applications
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from keras import layers

from fold_oracle import Oracle
from normcraft.graph import LayerGraph
from normcraft.placements import placement_names
from normcraft.surgery import fold_batch_normalization, place
from strategies import PLAIN_KINDS, outputs, realistic, recipes, same, untouched
from tolerances import IDENTITY

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")

KINDS = (*PLAIN_KINDS, "tokens", "image_first")
if keras.backend.backend() == "tensorflow":
    KINDS = KINDS[:-1]  # its convolutions on a CPU know channels_last alone
NAMES = [name for name in placement_names() if name not in {"none", "as_given"}]
PLACEMENTS = ("as_given", *NAMES, *(f"as_given+{name}" for name in NAMES))
SHARDS = 4


def on_graphs(number: int, shard: int, check) -> None:
    @seed(1000 + shard)
    @settings(max_examples=number, derandomize=False, database=None, phases=[Phase.generate])
    @given(recipes(KINDS, min_blocks=2), st.sampled_from(PLACEMENTS), st.booleans())
    def run(recipe, placement, negative):
        check(recipe, placement, negative)

    run()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_folding_is_never_wrong_and_leaves_nothing_that_folds(shard, num_folds):
    present = folded = told = 0

    def law(recipe, placement, negative):
        nonlocal present, folded, told
        model = realistic(place(recipe.build(), placement).model, seed=shard)
        if negative:
            turn_signs(model, shard)
        with untouched(model):
            result = fold_batch_normalization(model, verify=False)
        for one, other in zip(outputs(result.model), outputs(model), strict=True):
            scale = max(np.max(np.abs(other)), 0.1)
            np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=IDENTITY["float32"])
        normalization = batch_calls(model)
        assert normalization == {*result.removed} | {site for site, _ in result.kept} or shared(
            model
        )
        present, folded = present + len(normalization), folded + len(result.removed)
        if not negative and plain(model):
            told += 1
            assert {*result.removed} == Oracle(model).folded()

    number = -(-num_folds // SHARDS)
    on_graphs(number, shard, law)
    assert folded > 0.3 * present
    assert told > 0.1 * number


def turn_signs(model, shard) -> None:
    """Negative gammas, here and there."""
    generator = np.random.default_rng(shard)
    for weight in model.weights:
        if weight.name == "gamma":
            value = np.array(keras.ops.convert_to_numpy(weight))
            weight.assign(value * generator.choice([-1, 1], value.shape))


def batch_calls(model) -> set[str]:
    calls = LayerGraph.read(model).calls
    inner = [(call, getattr(call.layer, "layer", call.layer)) for call in calls]
    return {call.site for call, layer in inner if isinstance(layer, layers.BatchNormalization)}


def shared(model) -> bool:
    calls = LayerGraph.read(model).calls
    return len({call.key for call in calls}) < len(calls)


def plain(model) -> bool:
    """Whether the oracle can read a model: flat, no masks, and every layer called once."""
    graph = getattr(model, "_functional", model)
    nodes = [node for level in graph._nodes_by_depth.values() for node in level]
    operations = [node.operation for node in nodes]
    nested = any(isinstance(op, keras.Model | layers.TimeDistributed) for op in operations)
    given = [value for node in nodes for value in node.arguments.kwargs.items()]
    baked = any(key in {"training", "mask"} and value is not None for key, value in given)
    return not nested and not baked and len({*map(id, operations)}) == len(nodes)


def test_the_same_graph_folds_the_same_way_twice():
    entry = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(entry))
    model = realistic(keras.Model(entry, layers.Dense(2)(layers.Flatten()(layers.ReLU()(x)))))
    one, other = (fold_batch_normalization(model, verify=False).model for _ in range(2))
    assert one.get_config() == other.get_config()
    assert same(one.get_weights(), other.get_weights())


def folds_as_told(name: str) -> None:
    model = applications.Case.build(name).model
    result = fold_batch_normalization(model, verify=False)
    present = batch_calls(model)  # none in ConvNeXt, whose models inside the oracle cannot read
    assert {*result.removed} == (Oracle(model).folded() if present else set())
    assert present == {*result.removed} | {site for site, reason in result.kept if reason}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50V2"])
def test_a_model_of_keras_applications_folds_as_the_oracle_says(name):
    folds_as_told(name)


@pytest.mark.every_application
@pytest.mark.parametrize("name", applications.NAMES)
def test_every_model_of_keras_applications_folds_as_the_oracle_says(name):
    folds_as_told(name)
