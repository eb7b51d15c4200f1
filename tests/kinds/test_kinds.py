import keras
import numpy as np
import pytest
from keras import layers

from normcraft._core.errors import InputError
from normcraft.kinds import kind_names, kind_of, load_kind
from normcraft.kinds.group import num_groups
from normcraft.surgery import place
from strategies import outputs, randomise
from tolerances import assert_close
from versions import KERAS

# What Keras computes along the last axis alone.
NOT_EVERY_AXIS = {"rms", "layer"} if keras.backend.backend() == "torch" else {"rms"}
SHAPES = [(None, 12), (None, 5, 12), (None, 4, 4, 12), (None, 2, 3, 2, 12)]


@pytest.mark.parametrize("kind", kind_names())
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [-1, 1])
def test_a_kind_builds_its_layer_and_knows_it_again(kind, shape, axis):
    shape = shape if axis == -1 else (None, 12, *shape[1:-1])
    module = load_kind(kind)
    if module.refusal(shape, axis):
        assert kind in {"instance", "group"} or (axis == 1 and kind in NOT_EVERY_AXIS)
        return
    layer = module.build(axis, "n", shape=shape, dtype="float32")
    assert kind_of(layer) == kind
    layer.build(shape)
    assert kind_of(layer) == kind
    again = type(layer).from_config(layer.get_config())
    again.build(shape)
    assert kind_of(again) == kind
    without_keras = kind == "ghost_batch" or (kind == "batch_renorm" and KERAS < (3, 14))
    home = "normcraft" if without_keras else "keras"
    assert (layer.name, type(layer).__module__.split(".")[0]) == ("n", home)
    assert layer.compute_output_shape(shape) == shape


def test_other_layers_are_of_no_kind():
    assert kind_of(layers.Dense(2)) is None
    assert kind_of(layers.Normalization()) is None


def test_kinds_of_our_own_layers():
    from normcraft.layers import BatchNormalization, FrozenBatchNormalization

    assert kind_of(BatchNormalization()) == "batch"
    assert kind_of(FrozenBatchNormalization()) == "batch"
    assert kind_of(BatchNormalization(renorm=True)) == "batch_renorm"


def test_an_unknown_kind_is_refused_with_the_names_there_are():
    with pytest.raises(InputError, match=r"expected one of batch, .*did you mean 'batch'"):
        load_kind("bach")
    chain = [keras.Input((4,)), layers.Dense(2)]
    with pytest.raises(InputError, match="unknown kind"):
        place(keras.Sequential(chain), "output", kind="bach")


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (12, 4), (32, 16), (48, 16), (64, 32), (100, 4)],
)
def test_groups_divide_the_channels_and_are_no_single_channels(channels, groups):
    assert num_groups((None, 4, 4, channels), -1) == groups
    layer = load_kind("group").build(-1, "g", shape=(None, 4, 4, channels))
    layer.build((None, 4, 4, channels))
    assert layer.groups == groups
    assert kind_of(layer) == ("group" if channels > 1 else "instance")


@pytest.mark.parametrize(
    ("kind", "shape", "axis", "reason"),
    [
        ("instance", (None, 8), -1, "rank-2 activations would return beta alone"),
        ("instance", (None, 1, 1, 8), -1, "single position"),
        ("instance", (None, 8, 1, 1), 1, "single position"),
        ("instance", (None, None, None, 8), -1, None),
        ("instance", (None, 8, 2), 1, None),
        ("group", (None, 64), -1, None),
        ("group", (None, 1), -1, "groups of 1 values"),
        ("group", (None, 128), -1, None),
        ("group", (None, None, 8), -1, None),
        ("group", (None, 2, 2, 8), -1, None),
        ("layer", (None, 5, 1), -1, "1 channels"),
        ("layer", (None, 2), -1, "2 channels"),
        ("layer", (None, 2, 5), -1, None),
        ("layer", (None, 2, 5), 1, "fails on PyTorch" if len(NOT_EVERY_AXIS) > 1 else "2 channels"),
        ("rms", (None, 1), -1, "sign alone"),
        ("rms", (None, 2), -1, None),
        ("rms", (None, 4, 8, 8), 1, "last axis alone"),
        ("batch", (None, 1), -1, None),
    ],
)
def test_a_kind_refuses_what_it_would_flatten(kind, shape, axis, reason):
    refusal = load_kind(kind).refusal(shape, axis)
    assert refusal is None if reason is None else reason in refusal


@pytest.mark.parametrize(
    ("kind", "shape", "refused"),
    [("instance", (None, 8), True), ("layer", (None, 2), True), ("layer", (None, 3), False)],
)
def test_what_is_refused_is_degenerate_and_what_is_taken_is_not(kind, shape, refused):
    layer = load_kind(kind).build(-1, "n", shape=shape, epsilon=1e-12)
    x = np.random.default_rng(0).normal(size=(200, shape[-1])).astype("float32")
    values = np.unique(np.round(np.array(keras.ops.convert_to_numpy(layer(x))), 2))
    assert (load_kind(kind).refusal(shape, -1) is not None) == refused
    assert (len(values) <= 3) == refused


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_the_affine_form_of_batch_is_what_the_layer_does(axis, center, scale):
    shape = (5, 3) if axis == -1 else (3, 5)
    layer = layers.BatchNormalization(axis=axis, center=center, scale=scale)
    model = randomise(keras.Sequential([keras.Input(shape), layer]))
    x = np.random.default_rng(1).normal(2, 3, (4, *shape)).astype("float32")
    factor, shift = load_kind("batch").inference_affine(layer)
    assert factor.dtype == shift.dtype == "float64"
    if axis == 1:
        factor, shift = factor[:, None], shift[:, None]
    assert_close(outputs(model, [x])[0], x * factor + shift)


@pytest.mark.parametrize("kind", sorted(NOT_EVERY_AXIS))
def test_keras_fails_where_a_kind_is_refused_for_its_axis(kind):
    classes = {"rms": layers.RMSNormalization, "layer": layers.LayerNormalization}
    layer = classes[kind](axis=1)
    layer.build((None, 3, 5))
    with pytest.raises(Exception):  # noqa: B017, PT011 - mended in Keras: take every axis
        layer(np.ones((1, 3, 5), "float32"))


def test_kinds_that_look_at_their_input_have_no_affine_form():
    for kind in set(kind_names()) - {"batch", "batch_renorm", "ghost_batch"}:
        assert load_kind(kind).inference_affine(None) is None


def test_statistics_go_in_as_they_come_out():
    from normcraft.kinds import batch

    layer = layers.BatchNormalization()
    layer.build((None, 3))
    batch.set_statistics(layer, np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))
    mean, variance = batch.statistics(layer)
    assert mean.dtype == "float64"
    assert (mean.tolist(), variance.tolist()) == ([1, 2, 3], [4, 5, 6])


@pytest.mark.parametrize(("kind", "absorbed"), [("batch", 1), ("instance", 1), ("layer", 0)])
def test_a_bias_goes_only_where_it_is_subtracted_again(kind, absorbed):
    chain = [keras.Input((4, 4, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()]
    model = randomise(keras.Sequential([*chain, layers.Dense(2)]))
    assert place(model, "before_activation", kind=kind).biases_dropped == absorbed
    assert place(model, "after_activation", kind=kind).biases_dropped == 0
    module = load_kind(kind)
    layer = module.build(-1, "n", shape=(None, 4))
    x = np.random.default_rng(0).normal(size=(8, 3, 3, 4)).astype("float32")
    moved, kept = (
        keras.ops.convert_to_numpy(layer(value, training=True))
        for value in (x + np.arange(4, dtype="float32"), x)
    )
    assert np.allclose(moved, kept, atol=1e-5) == bool(absorbed)
