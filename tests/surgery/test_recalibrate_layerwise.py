"""Layer by layer: each sees those before it re-estimated, working at inference."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from normcraft._core.errors import InputError
from normcraft.graph import LayerGraph
from normcraft.surgery import keeps_statistics, recalibrate
from normcraft.surgery.levels import levels
from populations import check, data, moments
from strategies import arrays, outputs, randomise, recipes, same, untouched

BatchNormalization = layers.BatchNormalization


class Reference:
    """Batch normalization layer by layer over the whole data, in NumPy float64."""

    def __init__(self, model):
        self.model = model
        self.found = {}

    def normalize(self, name, x):
        layer = self.model.get_layer(name)
        gamma, beta = (value.astype("float64") for value in arrays(layer.weights)[:2])
        mean, variance = self.found[name] = moments(x)
        return (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta

    def dense(self, name, x):
        kernel, bias = (v.astype("float64") for v in arrays(self.model.get_layer(name).weights))
        return x @ kernel + bias


def chain(depth):
    parts = [keras.Input((3,))]
    for number in range(depth):
        parts += [layers.Dense(4, name=f"d{number}"), BatchNormalization(name=f"n{number}")]
        parts += [layers.ReLU(), layers.Dropout(0.5)]
    return randomise(keras.Sequential(parts))


@given(
    depth=st.integers(1, 4),
    rows=st.integers(5, 80),
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=2),
)
@settings(max_examples=10)
def test_a_chain_agrees_with_numpy_however_the_data_are_cut(depth, rows, sizes):
    model, x = chain(depth), data(rows, 3, seed=rows)
    reference, value = Reference(model), x.astype("float64")
    for number in range(depth):
        value = reference.dense(f"d{number}", value)
        value = np.maximum(reference.normalize(f"n{number}", value), 0)
    for size in sizes:
        found = recalibrate(model, x, layerwise=True, batch_size=size)
        assert (found.layers, found.samples) == (depth, rows)
        for name, expected in reference.found.items():
            check(found.model.get_layer(name), expected)


def test_branches_of_unlike_length_are_taken_in_order():
    entry = keras.Input((3,))
    long = BatchNormalization(name="a")(layers.Dense(4, name="da")(entry))
    long = BatchNormalization(name="b")(layers.Dense(4, name="db")(layers.ReLU()(long)))
    short = BatchNormalization(name="c")(layers.Dense(4, name="dc")(entry))
    both = BatchNormalization(name="d")(layers.Add()([long, layers.ReLU()(short)]))
    model, x = randomise(keras.Model(entry, both)), data(300, 3)
    reference = Reference(model)
    a = np.maximum(reference.normalize("a", reference.dense("da", x.astype("float64"))), 0)
    b = reference.normalize("b", reference.dense("db", a))
    c = np.maximum(reference.normalize("c", reference.dense("dc", x.astype("float64"))), 0)
    reference.normalize("d", b + c)
    found = recalibrate(model, x, layerwise=True).model
    for name, expected in reference.found.items():
        check(found.get_layer(name), expected)
    order = levels(LayerGraph.read(model), keeps_statistics)
    assert [[n.name for n in level.layers] for level in order] == [["a", "c"], ["b"], ["d"]]
    assert not any(level.feed_each_other for level in order)


def test_inference_then_normalizes_what_it_gets_exactly():
    chain = [keras.Input((3,)), layers.Dense(4), BatchNormalization(), layers.ReLU()]
    plain = BatchNormalization(center=False, scale=False, epsilon=0.0)
    model = randomise(keras.Sequential([*chain, layers.Dense(2), plain]))
    x = data(500, 3)
    made = outputs(recalibrate(model, x, layerwise=True, batch_size=7).model, [x])[0]
    np.testing.assert_allclose(made.mean(axis=0, dtype="float64"), 0, atol=1e-5)
    np.testing.assert_allclose(made.std(axis=0, dtype="float64"), 1, rtol=1e-5)
    at_once = outputs(recalibrate(model, x, batch_size=7).model, [x])[0]
    assert np.abs(at_once.std(axis=0) - 1).max() > 1e-3


def test_a_shared_layer_that_feeds_itself_works_on_batches_meanwhile():
    entry = keras.Input((3,))
    layer = BatchNormalization(name="n")
    first = layer(layers.Dense(3, name="d")(entry))
    model = keras.Model(entry, BatchNormalization(name="last")(layer(layers.ReLU()(first))))
    randomise(model)
    x = data(64, 3)
    reference = Reference(model)
    before = reference.dense("d", x.astype("float64"))
    again = np.maximum(reference.normalize("n", before), 0)
    expected = moments(np.concatenate([before, again]))
    found = recalibrate(model, x, layerwise=True).model
    check(found.get_layer("n"), expected)
    gamma, beta = (v.astype("float64") for v in arrays(model.get_layer("n").weights)[:2])
    scale = gamma / np.sqrt(expected[1] + 1e-3)
    once = np.maximum((before - expected[0]) * scale + beta, 0)
    check(found.get_layer("last"), moments((once - expected[0]) * scale + beta))


def test_layers_of_a_nested_model_called_twice_share_a_level():
    inner = keras.Input((3,))
    nested = BatchNormalization(name="b")(layers.Dense(3)(BatchNormalization(name="a")(inner)))
    encoder, entry = keras.Model(inner, nested, name="encoder"), keras.Input((3,))
    early = BatchNormalization(name="early")(entry)
    model = keras.Model(entry, BatchNormalization(name="late")(encoder(encoder(early))))
    order = levels(LayerGraph.read(model), keeps_statistics)
    names = [([layer.name for layer in level.layers], level.feed_each_other) for level in order]
    assert names == [(["early"], False), (["a", "b"], True), (["late"], False)]


def test_a_layer_behind_one_that_feeds_itself_comes_later_wherever_it_was_first_called():
    one, other = keras.Input((3,)), keras.Input((3,))
    twice, behind = BatchNormalization(name="twice"), BatchNormalization(name="behind")
    free = behind(one)
    model = keras.Model([one, other], [free, behind(twice(twice(other)))])
    order = levels(LayerGraph.read(model), keeps_statistics)
    assert [[layer.name for layer in level.layers] for level in order] == [["twice"], ["behind"]]


def test_time_distributed_normalization_feeds_the_next():
    wrapped = layers.TimeDistributed(BatchNormalization(), name="n")
    chain = [keras.Input((4, 2)), wrapped, layers.ReLU(), BatchNormalization(name="after")]
    model, x = randomise(keras.Sequential(chain)), data(50, 4, 2)
    gamma, beta = (v.astype("float64") for v in arrays(model.get_layer("n").weights)[:2])
    mean, variance = moments(x)
    found = recalibrate(model, x, layerwise=True).model
    check(found.get_layer("n").layer, (mean, variance))
    hidden = np.maximum((x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)
    check(found.get_layer("after"), moments(hidden))


@given(recipes())
@settings(max_examples=6)
def test_one_level_more_changes_nothing_on_generated_graphs(recipe):
    model = recipe.build()
    x = data(60, *model.inputs[0].shape[1:])
    once = recalibrate(model, x, layerwise=True).model
    loops = any(level.feed_each_other for level in levels(LayerGraph.read(model), keeps_statistics))
    again = recalibrate(once, x, layerwise=True).model
    # What a layer sees is fixed by the layers before it: the statistics are their own result.
    for one, other in zip(arrays(once.variables), arrays(again.variables), strict=True):
        assert np.isfinite(other).all()
        if not loops:
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_generator_serves_one_level_only():
    x = data(40, 3)
    model = chain(2)
    with untouched(model), pytest.raises(InputError, match="passed over only once.*over 2 times"):
        recalibrate(model, (part for part in (x[:20], x[20:])), layerwise=True)
    single = chain(1)
    found = recalibrate(single, (part for part in (x[:20], x[20:])), layerwise=True).model
    expected = recalibrate(single, x).model
    assert same(arrays(found.variables), arrays(expected.variables))


def test_a_function_that_makes_a_generator_serves_all_levels():
    x, model, passes = data(300, 3), chain(3), []

    def batches():
        passes.append(1)
        yield from np.split(x, 10)

    found = recalibrate(model, batches, layerwise=True)
    expected = recalibrate(model, x, layerwise=True, batch_size=256)
    assert (len(passes), found.samples) == (3, 300)
    for one, other in zip(
        arrays(found.model.variables), arrays(expected.model.variables), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
