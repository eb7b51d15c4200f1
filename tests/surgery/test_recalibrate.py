"""Re-estimated statistics: exact, from any data, on a copy, refused with one clear line."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from normcraft._core.errors import InputError, SurgeryError
from normcraft.kinds import batch
from normcraft.surgery import StatisticsProbe, recalibrate
from populations import check, data, moments
from strategies import arrays, digest, outputs, randomise, recipes, same, untouched, weights_by_path

BatchNormalization = layers.BatchNormalization


def single(shape=(3,), **config):
    return randomise(keras.Sequential([keras.Input(shape), BatchNormalization(name="n", **config)]))


def two_layers():
    chain = [
        keras.Input((3,)),
        layers.Dense(4, name="a"),
        BatchNormalization(name="first"),
        layers.Activation("tanh"),
        layers.Dropout(0.5),
        layers.Dense(2, name="b"),
        BatchNormalization(name="second"),
    ]
    return randomise(keras.Sequential(chain, name="two"))


def weights64(model, name):
    return [value.astype("float64") for value in arrays(model.get_layer(name).weights)]


# --- exact ---------------------------------------------------------------------------------------


@given(
    rows=st.integers(2, 70),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    first=st.booleans(),
    size=st.integers(1, 40),
    mean=st.sampled_from([0.0, -3.0, 1000.0]),
)
@settings(max_examples=15)
def test_one_layer_gets_numpys_moments_of_everything(rows, shape, first, size, mean):
    axis = 1 if first else -1
    x = data(rows, *shape, mean=mean, seed=rows)
    result = recalibrate(single(shape, axis=axis), x, batch_size=size)
    expected = moments(x, axis)
    check(result.model.get_layer("n"), expected)
    assert (result.layers, result.samples, result.kept) == (1, rows, ())


@given(rows=st.integers(3, 50), channels=st.integers(1, 3), size=st.integers(1, 20))
@settings(max_examples=10)
def test_masked_positions_do_not_count_whatever_they_hold(rows, channels, size):
    entry = keras.Input((4, channels))
    masked = layers.Masking(-9.0)(entry)
    scaled = layers.Activation("linear")(masked)
    model = keras.Model(entry, BatchNormalization(name="n")(scaled))
    x = data(rows, 4, channels, seed=rows)
    hidden = np.random.default_rng(size).random((rows, 4)) < 0.5
    hidden[0] = False
    x[hidden] = -9.0
    check(recalibrate(model, x, batch_size=size).model.get_layer("n"), moments(x[~hidden]))


def test_masked_positions_may_be_infinite():
    entry = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(3, 2, mask_zero=True, name="e")(entry)
    model = keras.Model(entry, BatchNormalization(name="n")(embedded))
    table = np.array([[np.nan, np.inf], [1, 2], [3, 5]], "float32")
    model.get_layer("e").embeddings.assign(table)
    tokens = np.array([[1, 0, 2, 0], [2, 2, 0, 0]])
    found = recalibrate(model, tokens).model.get_layer("n")
    check(found, moments(table[tokens][tokens != 0]))


def test_deep_networks_get_what_numpy_gets_layer_behind_layer():
    model, x = two_layers(), data(600, 3)
    (a, bias_a), (b, bias_b) = (weights64(model, name) for name in "ab")
    gamma, beta = weights64(model, "first")[:2]
    before, after = [], []
    for part in np.split(x.astype("float64"), 3):
        z = part @ a + bias_a
        h = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-3) * gamma + beta
        before.append(z)
        after.append(np.tanh(h) @ b + bias_b)
    result = recalibrate(model, x)
    check(result.model.get_layer("first"), moments(np.concatenate(before)))
    check(result.model.get_layer("second"), moments(np.concatenate(after)))
    assert (result.layers, result.samples, result.modified) == (2, 600, True)


def convolved(x, kernel):
    """Valid cross-correlation in float64, channels last."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel)


def test_convolutions_get_what_numpy_gets():
    chain = [
        keras.Input((6, 5, 2)),
        layers.Conv2D(3, 3, use_bias=False, name="c"),
        BatchNormalization(name="first"),
        layers.ReLU(),
        layers.Conv2D(2, 2, use_bias=False, name="d"),
        BatchNormalization(name="second"),
    ]
    model, x = randomise(keras.Sequential(chain)), data(90, 6, 5, 2)
    gamma, beta = weights64(model, "first")[:2]
    before, after = [], []
    for part in np.split(x.astype("float64"), 3):
        z = convolved(part, weights64(model, "c")[0])
        mean, variance = moments(z)
        h = np.maximum((z - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)
        before.append(z)
        after.append(convolved(h, weights64(model, "d")[0]))
    found = recalibrate(model, x, batch_size=30).model
    check(found.get_layer("first"), moments(np.concatenate(before)))
    check(found.get_layer("second"), moments(np.concatenate(after)))


def test_it_is_what_comparisons_are_judged_by():
    model, x = two_layers(), data(530, 3)
    result = recalibrate(model, x)
    StatisticsProbe(model).update(x)
    assert same(arrays(model.variables), arrays(result.model.variables))


def test_means_a_thousand_deviations_away_lose_no_digits_over_large_images():
    x = data(8, 224, 224, 2, mean=1000, std=1)
    found = recalibrate(single((224, 224, 2)), x).model.get_layer("n")
    expected = moments(x)
    np.testing.assert_allclose(batch.statistics(found)[0], expected[0], atol=6.2e-5)  # one spacing
    np.testing.assert_allclose(batch.statistics(found)[1], expected[1], rtol=1e-5)


def test_more_values_than_float32_counts_keep_their_weight():
    entry = keras.Input((None, 1))
    model = keras.Model(entry, BatchNormalization(name="n")(layers.Masking(9.0)(entry)))
    x = np.zeros((1, 2**24 + 2**23, 1), "float32")
    x[0, 2**24 :] = 3.0
    check(recalibrate(model, x).model.get_layer("n"), (np.array([1.0]), np.array([2.0])))


def test_thousands_of_batches_are_merged_as_they_come():
    x = data(5000, 2, mean=50) + np.arange(5000, dtype="float32")[:, None] / 100
    check(recalibrate(single((2,)), x, batch_size=2).model.get_layer("n"), moments(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_measured_in_float32(policy):
    chain = [keras.Input((3,)), layers.Activation("linear", dtype=policy)]
    model = keras.Sequential([*chain, BatchNormalization(dtype=policy, name="n")])
    x = ops.convert_to_numpy(ops.cast(ops.cast(data(5000, 3, mean=4), policy[6:]), "float32"))
    result = recalibrate(model, np.array(x))
    check(result.model.get_layer("n"), moments(x))
    assert str(result.model.get_layer("n").dtype_policy.name) == policy


def test_statistics_that_the_layer_cannot_hold_are_refused():
    model = keras.Sequential([keras.Input((1,)), BatchNormalization(dtype="float16", name="n")])
    with untouched(model), pytest.raises(InputError, match="no statistics for the normalization"):
        recalibrate(model, np.array([[-2000.0], [2000.0]], "float32"))


# --- sites ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layerwise", [False, True])
def test_streams_of_a_shared_layer_are_one_moments(layerwise):
    one, other = keras.Input((3,)), keras.Input((3,))
    layer = BatchNormalization(name="n")
    model = randomise(keras.Model([one, other], [layer(one), layer(other)]))
    x, y = data(70, 3, mean=-10), data(70, 3, mean=10, seed=1)
    result = recalibrate(model, [x, y], layerwise=layerwise)
    check(result.model.get_layer("n"), moments(np.concatenate([x, y])))
    assert (result.layers, result.samples) == (1, 70)
    assert batch.statistics(result.model.get_layer("n"))[1].min() > 90


def test_a_nested_model_called_twice_sees_all_it_is_called_on():
    inner, entry = keras.Input((2,)), keras.Input((2,))
    chain = keras.Sequential([keras.Input((2,)), BatchNormalization(name="deep")], name="chain")
    encoder = keras.Model(inner, chain(inner * 2.0), name="encoder")
    model = randomise(keras.Model(entry, encoder(entry) + encoder(entry + 20.0)))
    x = data(64, 2)
    result = recalibrate(model, x)
    deep = result.model.get_layer("encoder").get_layer("chain").get_layer("deep")
    check(deep, moments(np.concatenate([2 * x, 2 * x + 40])))
    assert result.layers == 1


@pytest.mark.parametrize("steps", [4, None])
@pytest.mark.parametrize("axis", [-1, 1])
def test_time_distributed_normalization_counts_all_steps(steps, axis):
    inner = BatchNormalization(axis=axis, name="inner")
    wrapped = layers.TimeDistributed(inner, name="n")
    model = randomise(keras.Sequential([keras.Input((steps, 3, 2)), wrapped]))
    x = data(50, 4, 3, 2) + np.arange(4, dtype="float32")[:, None, None]
    result = recalibrate(model, x)
    check(result.model.get_layer("n").layer, moments(x, axis if axis == -1 else 2))
    assert (result.layers, result.kept) == (1, ())


def test_time_distributed_normalization_works_on_each_step_meanwhile():
    chain = [
        keras.Input((3, 2)),
        layers.TimeDistributed(BatchNormalization(epsilon=0.0), name="n"),
        layers.Activation("relu"),
        BatchNormalization(name="after"),
    ]
    model, x = randomise(keras.Sequential(chain)), data(40, 3, 2)
    gamma, beta = (w.astype("float64") for w in arrays(model.get_layer("n").weights)[:2])
    each = (x - x.mean(axis=0, dtype="float64")) / x.std(axis=0, dtype="float64")
    expected = moments(np.maximum(each * gamma + beta, 0))
    check(recalibrate(model, x).model.get_layer("after"), expected)


def test_masks_reach_normalization_inside_time_distributed():
    entry = keras.Input((4,), dtype="int32")
    embedding = layers.Embedding(9, 2, mask_zero=True)
    wrapped = layers.TimeDistributed(BatchNormalization(), name="n")
    model = randomise(keras.Model(entry, wrapped(embedding(entry))))
    tokens = np.random.default_rng(0).integers(0, 9, (60, 4))
    rows = arrays([embedding.embeddings])[0][tokens][tokens != 0]
    check(recalibrate(model, tokens).model.get_layer("n").layer, moments(rows))


def renormalizing():
    try:
        return BatchNormalization(renorm=True, name="n")
    except (TypeError, ValueError):
        pytest.skip("this Keras has no renorm")


def test_renorm_gets_its_standard_deviation_too():
    model = keras.Sequential([keras.Input((3,)), renormalizing(), layers.Dense(2)])
    randomise(model)
    before = arrays([model.layers[0].renorm_mean, model.layers[0].renorm_stddev])
    x = data(300, 3, mean=5)
    found = recalibrate(model, x).model.layers[0]
    mean, variance = moments(x)
    check(found, (mean, variance))
    stddev = arrays([found.moving_stddev])[0]
    np.testing.assert_allclose(stddev, np.sqrt(variance + found.epsilon), rtol=1e-5)
    assert same(arrays([found.renorm_mean, found.renorm_stddev]), before)


def test_training_goes_on_from_the_statistics_of_renorm():
    model = keras.Sequential([keras.Input((3,)), renormalizing()])
    x = data(300, 3, mean=5)
    model = recalibrate(model, x).model
    layer = model.layers[0]
    variance = batch.statistics(layer)[1]
    model(x, training=True)
    np.testing.assert_allclose(batch.statistics(layer)[1], variance, rtol=1e-4)


class Doubling(BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training, mask)


class Robust(BatchNormalization):
    def _moments(self, inputs, mask):
        return ops.median(inputs, axis=0), ops.var(inputs, axis=0)


class Renamed(BatchNormalization):
    pass


class Block(layers.Layer):
    def __init__(self, name=None, **config):
        super().__init__(name=name, **config)
        self.norm = BatchNormalization(name="norm")

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x, training=None):
        return self.norm(x, training=training)


def test_what_keeps_its_statistics_is_listed_with_the_reason():
    entry = keras.Input((2,))
    x = BatchNormalization(trainable=False, name="frozen")(entry)
    x = BatchNormalization(name="inference")(x, training=False)
    base = keras.Sequential([keras.Input((2,)), BatchNormalization(name="deep")], name="base")
    x = Block(name="block")(Robust(name="robust")(Doubling(name="own")(base(x, training=False))))
    model = randomise(keras.Model(entry, Renamed(name="live")(x)))
    with untouched(model):
        result = recalibrate(model, data(40, 2))
    assert result.kept == (
        ("frozen", "frozen (trainable=False): training leaves its statistics alone too"),
        ("inference", "called with training=False"),
        ("base/deep", "called with training=False"),
        ("own", "Doubling computes in its own way"),
        ("robust", "Robust computes in its own way"),
        ("block", "inside Block, where surgery does not reach"),
    )
    assert result.layers == 1
    before, after = weights_by_path(model), weights_by_path(result.model)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"live/moving_mean", "live/moving_variance"}


def test_a_layer_called_both_ways_is_done_where_it_trains():
    layer, entry = BatchNormalization(name="n"), keras.Input((3,))
    model = randomise(keras.Model(entry, layer(entry) + layer(entry * 2, training=False)))
    x = data(40, 3)
    result = recalibrate(model, x)
    check(result.model.get_layer("n"), moments(x))
    assert (result.layers, result.kept) == (1, ())


def test_a_model_without_batch_normalization_is_handed_back_unmodified():
    model = randomise(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    result = recalibrate(model, data(8, 3))
    assert (result.layers, result.samples, result.modified) == (0, 0, False)
    assert same(arrays(model.variables), arrays(result.model.variables))


def test_all_but_the_statistics_is_kept_compile_settings_and_optimizer_included():
    model = two_layers()
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
    model.fit(data(40, 3), data(40, 2), epochs=1, verbose=0)
    with untouched(model):
        copy = recalibrate(model, data(90, 3)).model
    assert digest(copy) != digest(model)
    for name in ("first", "second"):
        batch.set_statistics(copy.get_layer(name), *batch.statistics(model.get_layer(name)))
    assert same(arrays(copy.variables), arrays(model.variables))
    assert same(arrays(copy.optimizer.variables), arrays(model.optimizer.variables))


def test_the_copy_saves_and_loads_as_plain_keras(tmp_path):
    copy = recalibrate(two_layers(), data(90, 3)).model
    copy.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    x = [data(9, 3)]
    assert same(outputs(loaded, x), outputs(copy, x))


@given(recipes())
@settings(max_examples=8)
def test_generated_graphs_are_recalibrated_and_left_alone(recipe):
    model = recipe.build()
    x = data(40, *model.inputs[0].shape[1:])
    with untouched(model):
        result = recalibrate(model, x)
        order = recalibrate(model, x, layerwise=True)
    StatisticsProbe(model).update(x)
    assert same(arrays(model.variables), arrays(result.model.variables))
    assert (result.layers, result.kept) == (order.layers, order.kept)
    assert all(np.isfinite(value).all() for value in arrays(order.model.variables))


# --- refused -------------------------------------------------------------------------------------

NAN = np.array([[1.0, 2, np.nan], [1, 2, 3]], "float32")
REFUSED = {
    "no rows": (np.zeros((0, 3)), {}, "nothing to estimate statistics from in the data"),
    "one row": (data(1, 3), {}, "too few for the normalization 'first': received 1 values of a"),
    "shape": (data(9, 4), {}, r"received inputs of shape \(9, 4\), expected \(None, 3\)"),
    "rank": (data(9, 3, 1), {}, "do not fit the model"),
    "two inputs": ([data(9, 3), data(9, 3)], {}, "do not fit the model"),
    "lengths": ([data(9, 3), data(8, 3)], {}, "no samples: received 8 rows and 9 rows"),
    "a number": (5.0, {}, "no samples: received a single value"),
    "none": (None, {}, "no samples"),
    "a name": ("mnist", {}, "neither arrays nor batches: received a str.*load_dataset"),
    "text": (np.array([["a", "b", "c"]] * 3), {}, "x from row 0 on in the data holds text"),
    "nan": (NAN, {}, "x from row 0 on in the data holds NaN or infinity"),
    "batch_size 0": (data(9, 3), {"batch_size": 0}, "batch_size is no number of samples: .* 0,"),
    "batch_size 1.5": (data(9, 3), {"batch_size": 1.5}, "received 1.5, expected a whole number"),
    "batch_size True": (data(9, 3), {"batch_size": True}, "received True"),
    "num_batches -1": (data(9, 3), {"num_batches": -1}, "num_batches is no number of batches"),
    "too many": (data(600, 3), {"num_batches": 4}, "hold fewer batches .* received 3 of up to 256"),
}


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_clear_line_and_the_model_stays(case, layerwise):
    x, options, text = REFUSED[case]
    model = two_layers()
    with untouched(model), pytest.raises(InputError, match=text) as caught:
        recalibrate(model, x, layerwise=layerwise, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layerwise", [False, True])
def test_activations_that_overflow_name_the_layer(layerwise):
    model = two_layers()
    model.get_layer("b").kernel.assign(np.full((4, 2), 3e38, "float32"))
    with untouched(model), pytest.raises(InputError, match="normalization 'second': received val"):
        recalibrate(model, data(40, 3), layerwise=layerwise)


def test_data_that_are_masked_all_over_are_refused():
    entry = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(9, 2, mask_zero=True)(entry)
    model = keras.Model(entry, BatchNormalization(name="n")(embedded))
    with untouched(model), pytest.raises(InputError, match="received 0 values.* not masked"):
        recalibrate(model, np.zeros((5, 4), int))


def test_a_model_without_a_graph_is_refused():
    with pytest.raises(SurgeryError, match="has no graph yet"):
        recalibrate(keras.Sequential([layers.Dense(2)]), data(4, 3))
