"""Re-estimated statistics against NumPy in float64."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from keras import layers, ops

from normcraft._core.errors import SurgeryError
from normcraft.kinds import batch
from normcraft.surgery import StatisticsProbe
from normcraft.surgery.probe import even_batch_size
from populations import check, data, moments
from strategies import arrays, batch_for, digest, outputs, randomise, recipes
from tolerances import assert_close


def estimate(model, x):
    StatisticsProbe(model).update(x)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 5, 3), (2, 3, 2, 3)])
@pytest.mark.parametrize("axis", [-1, 1])
def test_one_layer_gets_the_moments_of_the_whole_data(shape, axis):
    layer = layers.BatchNormalization(axis=axis)
    model = randomise(keras.Sequential([keras.Input(shape), layer]))
    x = data(300, *shape)
    estimate(model, x)
    check(layer, moments(x, axis))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 515])
def test_the_last_batch_weighs_what_it_holds(size):
    layer = layers.BatchNormalization()
    model = randomise(keras.Sequential([keras.Input((3,)), layer]))
    x = data(size, 3) + np.linspace(0, 9, size, dtype="float32")[:, None]
    estimate(model, x)
    check(layer, moments(x))


def test_even_batches_hold_everything():
    for size in range(1, 1200, 7):
        batch_size = even_batch_size(size)
        batches = -(-size // batch_size)
        assert batch_size <= 256
        assert batches * batch_size - size < batches


def test_data_far_from_zero_lose_no_digits():
    layer = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), layer])
    x = data(1000, 3, mean=1000, std=1)
    estimate(model, x)
    check(layer, moments(x))


def two_layers():
    return randomise(
        keras.Sequential(
            [
                keras.Input((3,)),
                layers.Dense(4, name="a"),
                layers.BatchNormalization(name="first"),
                layers.Activation("tanh"),
                layers.Dropout(0.5),
                layers.Dense(2, name="b"),
                layers.BatchNormalization(name="second"),
            ]
        )
    )


def test_two_layers_agree_with_the_algorithm_written_out_in_numpy():
    model = two_layers()
    x = data(600, 3)
    w = {
        name: [v.astype("float64") for v in arrays(model.get_layer(name).weights)] for name in "ab"
    }
    first = model.get_layer("first")
    gamma, beta = (array.astype("float64") for array in arrays([first.gamma, first.beta]))
    before, after = [], []
    for part in np.split(x.astype("float64"), 3):
        z = part @ w["a"][0] + w["a"][1]
        before.append(z)
        h = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + first.epsilon) * gamma + beta
        after.append(np.tanh(h) @ w["b"][0] + w["b"][1])
    estimate(model, x)
    check(first, moments(np.concatenate(before)))
    check(model.get_layer("second"), moments(np.concatenate(after)), 5e-5)


def test_the_probe_serves_other_weights_without_being_built_again():
    model = two_layers()
    probe = StatisticsProbe(model)
    x = data(64, 3)
    probe.update(x)
    randomise(model, 5)
    probe.update(x)
    kernel, bias = (v.astype("float64") for v in arrays(model.get_layer("a").weights))
    check(model.get_layer("first"), moments(x @ kernel + bias))
    assert probe.num_layers == 2


def test_all_but_the_statistics_stays():
    model = two_layers()
    model.compile("adam", "mse")
    before = digest(model)
    given = [batch.statistics(model.get_layer(name)) for name in ("first", "second")]
    estimate(model, data(20, 3))
    assert digest(model) != before
    for name, statistics in zip(("first", "second"), given, strict=True):
        batch.set_statistics(model.get_layer(name), *statistics)
    assert digest(model) == before


def test_a_shared_layer_gets_the_moments_of_all_its_calls():
    entry, other = keras.Input((3,)), keras.Input((3,))
    layer = layers.BatchNormalization()
    model = randomise(keras.Model([entry, other], [layer(entry), layer(other)]))
    x, y = data(70, 3, mean=-10), data(70, 3, mean=10, seed=1)
    estimate(model, [x, y])
    check(layer, moments(np.concatenate([x, y])))


@pytest.mark.parametrize("sequential", [True, False])
def test_nested_models_are_opened(sequential):
    inner, layer = keras.Input((3,)), layers.BatchNormalization()
    encoder = keras.Sequential([inner, layer]) if sequential else keras.Model(inner, layer(inner))
    entry = keras.Input((3,))
    model = randomise(keras.Model(entry, layers.Dense(2)(encoder(encoder(entry) * 0.0 + 3.0))))
    x = data(64, 3)
    estimate(model, x)
    check(layer, moments(np.concatenate([x, np.full_like(x, 3)])))


def test_dictionary_inputs_reach_their_layers():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    first, second = layers.BatchNormalization(), layers.BatchNormalization()
    inner = keras.Model([b, a], layers.Concatenate()([first(a), second(b)]))
    p, q = keras.Input((3,), name="p"), keras.Input((2,), name="q")
    model = keras.Model({"p": p, "q": q}, inner({"a": p, "b": q}))
    x = {"p": data(50, 3), "q": data(50, 2, seed=1)}
    estimate(model, x)
    check(first, moments(x["p"]))
    check(second, moments(x["q"]))


def test_masked_positions_do_not_count():
    entry = keras.Input((4,), dtype="int32")
    embedding, layer = layers.Embedding(9, 3, mask_zero=True), layers.BatchNormalization()
    model = randomise(keras.Model(entry, layers.GlobalAveragePooling1D()(layer(embedding(entry)))))
    tokens = np.random.default_rng(0).integers(0, 9, (300, 4)) * (np.arange(4) < 3)
    estimate(model, tokens)
    table = arrays([embedding.embeddings])[0]
    check(layer, moments(table[tokens][tokens != 0]))


def test_a_batch_that_is_masked_all_over_counts_for_nothing():
    entry = keras.Input((4,), dtype="int32")
    embedding, layer = layers.Embedding(9, 3, mask_zero=True), layers.BatchNormalization()
    model = randomise(keras.Model(entry, layers.GlobalAveragePooling1D()(layer(embedding(entry)))))
    tokens = np.concatenate([np.zeros((256, 4), int), np.full((256, 4), 2)])
    estimate(model, tokens)
    check(layer, (arrays([embedding.embeddings])[0][2], np.zeros(3)))


def test_frozen_layers_and_inference_calls_keep_their_statistics():
    frozen = layers.BatchNormalization(trainable=False, name="frozen")
    inference = layers.BatchNormalization(name="inference")
    base = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(name="base")])
    entry = keras.Input((3,))
    x = base(inference(frozen(entry), training=False), training=False)
    model = randomise(keras.Model(entry, layers.BatchNormalization(name="live")(x)))
    kept = [frozen, inference, base.layers[0]]
    before = [arrays(layer.variables) for layer in kept]
    probe = StatisticsProbe(model)
    assert probe.num_layers == 1
    values = data(40, 3)
    probe.update(values)
    assert repr(before) == repr([arrays(layer.variables) for layer in kept])
    for layer in kept:
        values = outputs(keras.Sequential([keras.Input((3,)), layer]), [values])[0]
    check(model.get_layer("live"), moments(values), 5e-5)


def test_a_layer_called_both_ways_is_measured_where_it_trains():
    layer, entry = layers.BatchNormalization(), keras.Input((3,))
    model = randomise(keras.Model(entry, layer(entry) + layer(entry * 2, training=False)))
    x = data(40, 3)
    estimate(model, x)
    check(layer, moments(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_measured_in_float32(policy):
    layer = layers.BatchNormalization(dtype=policy)
    model = keras.Sequential([keras.Input((3,)), layers.Activation("linear", dtype=policy), layer])
    x = data(5000, 3, mean=4, std=0.5)
    x = np.array(ops.convert_to_numpy(ops.cast(ops.cast(x, policy[6:]), "float32")))
    estimate(model, x)
    check(layer, moments(x))


@pytest.mark.skipif(
    keras.backend.backend() not in {"tensorflow", "torch"},
    reason="this backend computes in float32 unless asked",
)
def test_float64_is_measured_in_float64():
    layer = layers.BatchNormalization(dtype="float64")
    model = keras.Sequential([keras.Input((3,), dtype="float64"), layer])
    x = np.random.default_rng(0).normal(1e5, 1, (600, 3))
    keras.config.set_floatx("float64")  # else Keras hands the model float32 data
    try:
        estimate(model, x)
    finally:
        keras.config.set_floatx("float32")
    check(layer, moments(x), 1e-9)


def test_layers_without_scale_or_shift_are_measured():
    chain = [keras.Input((3,)), layers.BatchNormalization(center=False, name="a")]
    model = keras.Sequential([*chain, layers.BatchNormalization(scale=False, name="b")])
    x = data(60, 3)
    estimate(model, x)
    check(model.get_layer("a"), moments(x))
    mean, variance = batch.statistics(model.get_layer("b"))
    assert np.abs(mean).max() < 1e-5
    np.testing.assert_allclose(variance, 1, rtol=2e-3)


class Doubling(layers.BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training, mask)


def test_a_subclass_with_a_call_of_its_own_is_left_alone():
    model = randomise(keras.Sequential([keras.Input((3,)), Doubling()]))
    before = digest(model)
    probe = StatisticsProbe(model)
    probe.update(data(8, 3))
    assert probe.num_layers == 0
    assert digest(model) == before


def test_a_model_without_batch_normalization_is_left_alone():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    before = digest(model)
    estimate(model, data(8, 3))
    assert digest(model) == before


def test_adapted_preprocessing_is_seen_by_the_probe():
    adapted, layer = layers.Normalization(), layers.BatchNormalization()
    x = data(100, 3, mean=50, std=9)
    adapted.adapt(x)
    model = keras.Sequential([keras.Input((3,)), adapted, layer])
    estimate(model, x)
    mean, variance = batch.statistics(layer)
    assert_close(mean + 1, np.ones(3))
    np.testing.assert_allclose(variance, 1, rtol=1e-3)


def test_statistics_make_inference_agree_with_training():
    model = two_layers()
    model.layers[3].rate = 0.0
    x = data(200, 3)
    estimate(model, x)
    trained = ops.convert_to_numpy(model(x, training=True))
    inferred = ops.convert_to_numpy(model(x, training=False))
    np.testing.assert_allclose(inferred, trained, atol=2e-4)


@given(recipes())
@settings(max_examples=10)
def test_statistics_are_finite_on_any_graph(recipe):
    model = recipe.build()
    estimate(model, batch_for(model, 6)[0])
    assert all(np.isfinite(value).all() for value in arrays(model.variables))


def test_a_model_without_a_graph_is_refused():
    with pytest.raises(SurgeryError, match="has no graph yet"):
        StatisticsProbe(keras.Sequential([layers.Dense(2)]))
