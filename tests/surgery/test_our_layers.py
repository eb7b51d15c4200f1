"""Surgery, re-estimation and training of models that hold our own layers."""

import keras
import numpy as np
import pytest

from normcraft.kinds import load_kind
from normcraft.layers import (
    BatchNormalization,
    BatchRenormalization,
    FrozenBatchNormalization,
    GhostBatchNormalization,
)
from normcraft.surgery import (
    fold_batch_normalization,
    place,
    recalibrate,
    remove_normalization,
    replace_normalization,
)
from strategies import outputs, randomise
from tolerances import assert_close

TRAINED = {
    "plain": lambda: BatchNormalization(name="bn"),
    "debiased": lambda: BatchNormalization(debiased=True, name="bn"),
    "cumulative": lambda: BatchNormalization(momentum=None, name="bn"),
    "renorm": lambda: BatchRenormalization(name="bn"),
    "ghost": lambda: GhostBatchNormalization(4, name="bn"),
}
ALL = TRAINED | {"frozen": lambda: FrozenBatchNormalization(name="bn")}
X = np.random.default_rng(0).normal(3, 2, (70, 5)).astype("float32")


def model_with(layer):
    chain = [keras.Input((5,)), keras.layers.Dense(4), layer, keras.layers.Dense(2)]
    model = keras.Sequential(chain)
    randomise(model, 0)
    return model


@pytest.mark.parametrize("name", ALL)
def test_our_layers_fold_away(name):
    model = model_with(ALL[name]())
    result = fold_batch_normalization(model)
    assert result.folded == 1
    assert_close(outputs(result.model, X)[0], outputs(model, X)[0])


@pytest.mark.parametrize("name", ALL)
def test_our_layers_go_and_come_back(name):
    model = model_with(ALL[name]())
    assert remove_normalization(model).removed == ("bn",)
    kept = place(model, "as_given+output").model
    copy = kept.get_layer("bn")
    assert type(copy) is type(model.get_layer("bn"))
    for found, wanted in zip(copy.variables, model.get_layer("bn").variables, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(wanted)
        )


@pytest.mark.parametrize("kind", ["ghost_batch", "batch_renorm"])
def test_swapping_kinds_keeps_what_is_kept_and_learned(kind):
    model = model_with(keras.layers.BatchNormalization(name="bn"))
    result = replace_normalization(model, kind)
    assert result.replaced == (("bn", kind),)
    assert load_kind(kind).matches(result.model.get_layer("bn"))
    assert_close(outputs(result.model, X)[0], outputs(model, X)[0])


@pytest.mark.parametrize("name", TRAINED)
def test_statistics_of_our_layers_are_re_estimated(name):
    model = model_with(TRAINED[name]())
    result = recalibrate(model, X)
    kernel, bias = model.layers[0].get_weights()
    received = X.astype("float64") @ kernel.astype("float64") + bias
    layer = result.model.get_layer("bn")
    assert_close(keras.ops.convert_to_numpy(layer.moving_mean), received.mean(0))
    assert_close(keras.ops.convert_to_numpy(layer.moving_variance), received.var(0))


def test_frozen_statistics_stay():
    model = model_with(FrozenBatchNormalization(name="bn"))
    result = recalibrate(model, X)
    assert result.kept == (
        ("bn", "frozen (trainable=False): training leaves its statistics alone too"),
    )


@pytest.mark.parametrize("ours", [True, False])
def test_inside_time_distributed_the_next_layer_sees_what_training_shows_it(ours):
    kind = BatchNormalization if ours else keras.layers.BatchNormalization
    generator = np.random.default_rng(0)
    x = (generator.normal(size=(32, 3, 2)) + 9 * np.arange(3)[:, None]).astype("float32")
    second = kind(name="second", epsilon=0.0)
    model = keras.Sequential(
        [keras.Input((3, 2)), keras.layers.TimeDistributed(kind(epsilon=0.0)), second]
    )
    layer = recalibrate(model, x).model.get_layer("second")
    mean, variance = layer.moving_mean, layer.moving_variance
    assert_close(keras.ops.convert_to_numpy(variance), np.ones(2))
    assert np.max(np.abs(keras.ops.convert_to_numpy(mean))) < 1e-5
