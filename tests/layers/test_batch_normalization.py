"""What our batch normalization adds to Keras's, and what it survives."""

import keras
import numpy as np
import pytest
from keras import ops

from normcraft._core.errors import InputError
from normcraft.layers import (
    BatchNormalization,
    BatchRenormalization,
    FrozenBatchNormalization,
    GhostBatchNormalization,
)
from normcraft.moments import reference
from tolerances import assert_close

BACKEND = keras.backend.backend()
ALL = [
    BatchNormalization,
    BatchRenormalization,
    FrozenBatchNormalization,
    lambda **settings: GhostBatchNormalization(4, **settings),
]


def batches(number=5, shape=(16, 3), seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(2, 3, shape).astype("float32") for _ in range(number)]


def trained(layer, data, **options):
    for x in data:
        layer(ops.convert_to_tensor(x), training=True, **options)
    return layer


def statistics(layer):
    return [ops.convert_to_numpy(w) for w in (layer.moving_mean, layer.moving_variance)]


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_debiased_averages_hold_no_initial_values(momentum):
    data = batches()
    layer = trained(BatchNormalization(momentum=momentum, debiased=True), data)
    moments = [x.astype("float64") for x in data]
    for found, values in zip(
        statistics(layer), ([x.mean(0) for x in moments], [x.var(0) for x in moments]), strict=True
    ):
        form = {"initial": 0.0, "momentum": momentum, "debiased": momentum > 0}
        assert_close(found, reference.moving_average(values, **form))


def test_without_momentum_all_batches_weigh_the_same():
    data = batches(7)
    mean, variance = statistics(trained(BatchNormalization(momentum=None), data))
    assert_close(mean, np.mean([x.astype("float64").mean(0) for x in data], 0))
    assert_close(variance, np.mean([x.astype("float64").var(0) for x in data], 0))


def test_the_unbiased_variance_is_that_of_pytorch():
    (x,) = batches(1, (4, 3))
    layer = trained(BatchNormalization(momentum=0.0, unbiased_variance=True), [x])
    assert_close(statistics(layer)[1], x.astype("float64").var(0, ddof=1))
    # One value has no such variance.
    layer = trained(BatchNormalization(momentum=0.0, unbiased_variance=True), [x[:1]])
    assert_close(statistics(layer)[1], np.zeros(3))


def model_with(layer):
    return keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])


@pytest.mark.parametrize("settings", [{"debiased": True}, {"momentum": None}])
def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(settings, tmp_path):
    data = batches(6)
    whole, first, second = (model_with(BatchNormalization(**settings)) for _ in range(3))
    trained(whole.layers[0], data)
    trained(first.layers[0], data[:3])
    first.save_weights(tmp_path / "a.weights.h5")
    second.load_weights(tmp_path / "a.weights.h5")
    trained(second.layers[0], data[3:])
    for found, wanted in zip(
        statistics(second.layers[0]), statistics(whole.layers[0]), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
    first.save(tmp_path / "a.keras")
    third = keras.models.load_model(tmp_path / "a.keras")
    trained(third.layers[0], data[3:])
    np.testing.assert_array_equal(statistics(third.layers[0])[1], statistics(whole.layers[0])[1])


@pytest.mark.parametrize("by_file", [True, False])
def test_statistics_that_came_without_a_count_are_old(by_file, tmp_path):
    data = batches(6)
    theirs = model_with(keras.layers.BatchNormalization(momentum=0.9))
    trained(theirs.layers[0], data[:3])
    ours = model_with(BatchNormalization(momentum=0.9, debiased=True))
    if by_file:
        theirs.save_weights(tmp_path / "a.weights.h5")
        ours.load_weights(tmp_path / "a.weights.h5")
    else:
        ours.set_weights(theirs.get_weights())
    for model in (theirs, ours):
        trained(model.layers[0], data[3:])
    for found, wanted in zip(statistics(ours.layers[0]), statistics(theirs.layers[0]), strict=True):
        assert_close(found, wanted)


def test_without_momentum_statistics_that_came_without_a_count_are_left_behind():
    data = batches(4)
    theirs = trained(keras.layers.BatchNormalization(), data[:2])
    ours = BatchNormalization(momentum=None)
    ours.build((None, 3))
    ours.set_weights(theirs.get_weights())
    trained(ours, data[2:])
    assert_close(statistics(ours)[0], np.mean([x.astype("float64").mean(0) for x in data[2:]], 0))


@pytest.mark.parametrize("settings", [{}, {"debiased": True}, {"momentum": None}, {"renorm": True}])
def test_weights_are_those_of_kerass_layer(settings, tmp_path):
    if settings.get("renorm") and "renorm" not in keras.layers.BatchNormalization().get_config():
        pytest.skip("renorm came back in Keras 3.14")
    shared = {key: value for key, value in settings.items() if key == "renorm"}
    ours = model_with(BatchNormalization(**settings))
    theirs = model_with(keras.layers.BatchNormalization(**shared))
    names = [[weight.name for weight in model.layers[0].weights] for model in (ours, theirs)]
    assert names[0] == names[1]
    assert ours.count_params() == theirs.count_params()
    trained(ours.layers[0], batches(2))
    ours.save_weights(tmp_path / "a.weights.h5")
    theirs.load_weights(tmp_path / "a.weights.h5")
    for found, wanted in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_compiled_training_is_that_of_kerass_layer():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(64, 3)).astype("float32"), generator.normal(size=(64, 1))
    found = []
    for kind in (keras.layers.BatchNormalization, BatchNormalization):
        keras.utils.set_random_seed(0)
        model = model_with(kind(momentum=0.9))
        model.compile(keras.optimizers.SGD(0.05), "mse")
        model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for theirs, ours in zip(*found, strict=True):
        assert_close(ours, theirs)


@pytest.mark.skipif(BACKEND == "numpy", reason="NumPy trains nothing")
def test_a_compiled_training_counts_its_batches():
    generator = np.random.default_rng(0)
    x, y = generator.normal(1, 2, (64, 3)).astype("float32"), generator.normal(size=(64, 1))
    model = model_with(BatchNormalization(momentum=None))
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    assert_close(statistics(model.layers[0])[0], x.astype("float64").mean(0))
    assert int(model.layers[0].steps.count) == 8


@pytest.mark.parametrize("shape", [(8, 5, 1), (8, 5, 3)])
@pytest.mark.parametrize("mask_shape", [(8, 5), (8, 1), (1, 5), (1, 1)])
def test_masks_of_every_shape_count_what_they_show(shape, mask_shape):
    (x,) = batches(1, shape)
    mask = np.random.default_rng(1).uniform(size=mask_shape) < 0.8
    mask[0, 0] = True
    layer = trained(BatchNormalization(momentum=0.0), [x], mask=ops.convert_to_tensor(mask))
    seen = x.astype("float64")[np.broadcast_to(mask, (8, 5))]
    mean, variance = statistics(layer)
    assert_close(mean, seen.mean(0))
    assert_close(variance, seen.var(0))


def test_what_a_mask_hides_may_be_anything():
    (x,) = batches(1, (4, 3, 2))
    mask = np.ones((4, 3), bool)
    mask[1, 2] = False
    layer = trained(BatchNormalization(momentum=0.0), [x], mask=ops.convert_to_tensor(mask))
    x[1, 2] = np.inf
    other = trained(BatchNormalization(momentum=0.0), [x], mask=ops.convert_to_tensor(mask))
    for found, wanted in zip(statistics(other), statistics(layer), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("settings", [{}, {"debiased": True}, {"renorm": True}])
def test_time_distributed_moves_the_averages_once_by_all_steps(steps, masked, settings):
    generator = np.random.default_rng(0)
    x = (generator.normal(size=(6, steps, 3)) + 10 * np.arange(steps)[None, :, None]).astype(
        "float32"
    )
    mask = generator.uniform(size=(6, steps)) < 0.7 if masked else None
    given = {} if mask is None else {"mask": ops.convert_to_tensor(mask)}
    wrapped = keras.layers.TimeDistributed(BatchNormalization(momentum=0.5, **settings))
    alone = BatchNormalization(momentum=0.5, **settings)
    for _ in range(2):
        y = wrapped(ops.convert_to_tensor(x), training=True, **given)
        wanted = alone(ops.convert_to_tensor(x), training=True, **given)
    assert_close(ops.convert_to_numpy(y), ops.convert_to_numpy(wanted))
    for found, expected in zip(statistics(wrapped.layer), statistics(alone), strict=True):
        assert_close(found, expected)


@pytest.mark.skipif(BACKEND == "numpy", reason="NumPy trains nothing")
@pytest.mark.parametrize("steps", [4, None])
def test_time_distributed_trains_with_gradients_through_all_steps(steps):
    generator = np.random.default_rng(0)
    x = generator.normal(1, 2, (32, 4, 3)).astype("float32")
    y = generator.normal(size=(32, 4, 1))
    found = []
    for wrap in (keras.layers.TimeDistributed, lambda layer: layer):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((steps, 3)),
                keras.layers.Dense(4, use_bias=False),
                wrap(BatchNormalization(momentum=0.9)),
                keras.layers.Dense(1),
            ]
        )
        model.compile(keras.optimizers.SGD(0.05), "mse")
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for wrapped, alone in zip(*found, strict=True):
        assert_close(wrapped, alone)


EMPTY = [np.zeros((0, 3), "float32"), np.full((4, 3), np.inf, "float32")]


@pytest.mark.parametrize("layer", ALL)
@pytest.mark.parametrize("x", EMPTY, ids=["no rows", "infinite"])
def test_a_batch_without_statistics_moves_no_average(layer, x):
    layer = layer(momentum=0.5)
    trained(layer, batches(1))
    before = statistics(layer)
    y = layer(ops.convert_to_tensor(x), training=True)
    assert tuple(y.shape) == x.shape
    for found, wanted in zip(statistics(layer), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_only_the_channel_with_infinities_stands_still():
    (x,) = batches(1)
    x[3, 1] = np.inf
    mean, _ = statistics(trained(BatchNormalization(momentum=0.5), [x]))
    assert mean[1] == 0
    assert np.all(np.isfinite(mean))
    assert np.all(mean[[0, 2]] != 0)


@pytest.mark.parametrize("layer", [ALL[0], ALL[1], ALL[3]])
@pytest.mark.parametrize("settings", [{}, {"momentum": None}])
def test_a_wholly_masked_batch_moves_no_average_and_is_not_counted(layer, settings):
    layer = trained(layer(**settings), batches(2))
    before = statistics(layer)
    nothing = ops.convert_to_tensor(np.zeros(16, bool))
    y = layer(ops.convert_to_tensor(batches(1)[0]), training=True, mask=nothing)
    assert np.all(np.isfinite(ops.convert_to_numpy(y)))
    for found, wanted in zip(statistics(layer), before, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert layer.steps is None or int(layer.steps.count) == 2


@pytest.mark.parametrize("layer", [ALL[0], ALL[3]])
def test_one_value_per_channel_gives_the_shift(layer):
    layer = layer(momentum=0.0)
    layer.build((None, 3))
    layer.beta.assign([1.0, 2.0, 3.0])
    (x,) = batches(1, (1, 3))
    y = layer(ops.convert_to_tensor(x), training=True)
    assert_close(ops.convert_to_numpy(y), [[1.0, 2.0, 3.0]])
    mean, variance = statistics(layer)
    assert_close(mean, x[0])
    assert_close(variance, np.zeros(3))


@pytest.mark.parametrize("layer", [ALL[0], ALL[3]])
def test_constant_channels_give_the_shift(layer):
    x = np.full((8, 2), 1234.5, "float32")
    layer = layer(momentum=0.0)
    y = layer(ops.convert_to_tensor(x), training=True)
    rounding = np.spacing(x).max() / np.sqrt(layer.epsilon)
    assert np.max(np.abs(ops.convert_to_numpy(y))) <= rounding
    assert_close(statistics(layer)[1], np.zeros(2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("layer", ALL)
def test_statistics_in_16_bits_neither_overflow_nor_stand_still(layer, dtype):
    generator = np.random.default_rng(0)
    x = ops.cast(generator.normal(0, 1000, (64, 3)), dtype.removeprefix("mixed_"))
    exact = ops.convert_to_numpy(ops.cast(x, "float32")).astype("float64")
    layer = layer(momentum=0.99, dtype=dtype)
    for _ in range(700):
        y = layer(x, training=True)
        if not layer.trainable:
            return
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    variance = statistics(layer)[1]
    assert variance.dtype == "float32"
    assert np.all(np.isfinite(variance))
    if not isinstance(layer, GhostBatchNormalization):
        # What the initial values weigh after 700 steps is .99⁷⁰⁰, a thousandth.
        assert np.max(np.abs(variance / exact.var(0) - 1)) < 0.01


def test_a_variance_near_the_floor_of_float16_is_kept():
    x = ops.cast(np.random.default_rng(0).normal(0, 1e-3, (256, 2)), "float16")
    exact = ops.convert_to_numpy(ops.cast(x, "float32")).astype("float64")
    layer = trained(BatchNormalization(momentum=0.0, dtype="float16"), [x])
    assert np.max(np.abs(statistics(layer)[1] / exact.var(0) - 1)) < 1e-5


@pytest.mark.parametrize("layer", ALL)
def test_configuration_and_file_give_the_layer_again(layer, tmp_path):
    layer = layer(momentum=0.9, epsilon=1e-4, name="n")
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    model = model_with(layer)
    trained(layer, batches(2))
    model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    assert type(loaded.layers[0]) is type(layer)
    x = ops.convert_to_tensor(batches(1)[0])
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(model(x)))


def test_a_frozen_layer_is_thawed_by_nothing():
    layer = FrozenBatchNormalization()
    model = model_with(layer)
    layer.moving_mean.assign([1.0, 2.0, 3.0])
    model.trainable = True
    layer.trainable = True
    (x,) = batches(1)
    inference = ops.convert_to_numpy(layer(ops.convert_to_tensor(x)))
    y = ops.convert_to_numpy(layer(ops.convert_to_tensor(x), training=True))
    np.testing.assert_array_equal(y, inference)
    assert_close(statistics(layer)[0], [1.0, 2.0, 3.0])
    assert layer.trainable_weights == []
    assert [weight.name for weight in layer.weights] == [
        weight.name for weight in model_with(BatchNormalization()).layers[0].weights
    ]


def test_a_ghost_batch_as_large_as_the_batch_is_batch_normalization():
    (x,) = batches(1)
    ghost = trained(GhostBatchNormalization(16), [x])
    plain = trained(BatchNormalization(), [x])
    for found, wanted in zip(statistics(ghost), statistics(plain), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.skipif(BACKEND == "numpy", reason="NumPy trains nothing")
def test_ghost_batches_that_do_not_divide_the_batch_are_trained_on():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(50, 3)).astype("float32"), generator.normal(size=(50, 1))
    model = model_with(GhostBatchNormalization(6))
    model.compile("sgd", "mse")
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history["loss"]
    assert np.all(np.isfinite(history))


@pytest.mark.parametrize("axis", [None, 0, (1, 2), 1.5, True])
def test_an_axis_that_is_none_of_the_channels_is_refused(axis):
    with pytest.raises(InputError, match=r"`axis` must be the axis of the channels: received"):
        BatchNormalization(axis=axis)


@pytest.mark.parametrize("axis", [2, 5, -3])
def test_an_axis_out_of_range_is_refused(axis):
    with pytest.raises(InputError, match=f"Axis {axis} is out of bounds for the input of layer"):
        BatchNormalization(axis=axis).build((None, 3))


def test_a_number_of_channels_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="needs to know the number of its channels"):
        BatchNormalization().build((None, None))


@pytest.mark.parametrize("momentum", [-0.1, 1.5, float("nan")])
def test_a_momentum_that_is_none_is_refused(momentum):
    with pytest.raises(InputError, match="`momentum` must be between 0 and 1"):
        BatchNormalization(momentum=momentum)


def test_averages_that_never_move_cannot_be_debiased():
    BatchNormalization(momentum=1.0)
    with pytest.raises(InputError, match="`momentum` must be between 0 and 1"):
        BatchNormalization(momentum=1.0, debiased=True)


@pytest.mark.parametrize("size", [0, -2, 1.5, None])
def test_a_virtual_batch_of_nothing_is_refused(size):
    with pytest.raises(InputError, match="`virtual_batch_size` must be a number of samples"):
        GhostBatchNormalization(size)


def test_virtual_batches_inside_time_distributed_are_refused():
    layer = keras.layers.TimeDistributed(GhostBatchNormalization(2))
    with pytest.raises(InputError, match="takes parts of one batch on one device"):
        layer(ops.ones((4, 3, 2)), training=True)


def test_a_mask_of_another_rank_is_refused():
    with pytest.raises(InputError, match="one dimension less than the inputs"):
        BatchNormalization()(ops.ones((4, 3, 2)), training=True, mask=ops.ones((4,)))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"a": 1.0}, "Received invalid keys for `renorm_clipping`"),
        ({"rmax": 0.5, "rmin": 1.0}, "rmax should be at least rmin"),
        ({"dmax": -1.0}, "dmax should be non-negative"),
    ],
)
def test_limits_of_renormalization_that_are_none_are_refused(limits, message):
    with pytest.raises(InputError, match=message):
        BatchRenormalization(renorm_clipping=limits)


@pytest.mark.skipif(BACKEND in {"jax", "tensorflow"}, reason="possible here")
def test_synchronized_statistics_are_refused_where_they_are_not_possible():
    with pytest.raises(InputError, match="synchronized=True is not possible on the"):
        BatchNormalization(synchronized=True)


@pytest.mark.skipif(BACKEND not in {"jax", "tensorflow"}, reason="not possible here")
def test_synchronized_statistics_on_one_device_are_those_of_the_batch():
    data = batches(2)
    layer = trained(BatchNormalization(synchronized=True), data)
    for found, wanted in zip(
        statistics(layer), statistics(trained(BatchNormalization(), data)), strict=True
    ):
        assert_close(found, wanted)
