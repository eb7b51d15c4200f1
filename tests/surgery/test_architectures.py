"""The networks people bring, at a small size."""

import keras
import numpy as np
import pytest
from keras import applications

from normcraft.graph import is_normalization
from normcraft.placements import placement_names
from normcraft.surgery import place
from strategies import untouched
from tolerances import assert_close

pytestmark = pytest.mark.slow
SETTINGS = {"weights": None, "classes": 10}
MAKERS = {
    "mobilenet": lambda: applications.MobileNetV3Small(input_shape=(64, 64, 3), **SETTINGS),
    "resnet": lambda: applications.ResNet50(input_shape=(32, 32, 3), **SETTINGS),
}
MADE = {}


def model_named(name):
    if name not in MADE:
        MADE[name] = MAKERS[name]()
    return MADE[name]


@pytest.mark.parametrize("name", MAKERS)
def test_every_placement_can_be_built(name):
    model = model_named(name)
    with untouched(model):
        for placement in placement_names():
            result = place(model, placement)
            assert result.model.output_shape == model.output_shape
            remaining = [layer for layer in result.model.layers if is_normalization(layer)]
            if placement == "none":
                assert not remaining
                assert len(result.removed) == {"mobilenet": 34, "resnet": 53}[name]
            elif placement != "as_given":
                assert len(remaining) == len(result.inserted)


@pytest.mark.parametrize("name", MAKERS)
def test_an_untouched_copy_computes_the_same(name):
    model = model_named(name)
    x = [np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:])).astype("float32")]
    copy = place(model, "as_given").model
    left, right = (m.predict(x[0], verbose=0) for m in (model, copy))
    assert_close(left, right)


def test_normalization_before_activation_is_where_resnet_has_it():
    model = model_named("resnet")
    result = place(model, "before_activation")
    assert len(result.inserted) == 53
    assert result.biases_dropped == 53
    assert result.model.count_params() == model.count_params() - sum(
        layer.bias.shape[0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    )
