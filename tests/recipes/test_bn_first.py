import keras
import pytest

from normcraft.recipes import bn_first


def test_batch_normalization_is_the_first_layer():
    layers = bn_first().layers
    assert isinstance(layers[0], keras.layers.BatchNormalization)
    assert layers[0].input.shape == (None, 28, 28, 1)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers[1:])
    assert bn_first().count_params() == bn_first("none").count_params() + 4


@pytest.mark.parametrize("normalized", [True, False])
def test_what_the_seed_prints_cannot_be_built(normalized):
    stack = [keras.Input((48, 48, 1)), keras.layers.Flatten()]
    stack += [keras.layers.BatchNormalization()] if normalized else []
    with pytest.raises(ValueError, match="expected min_ndim=4, found ndim=2"):
        keras.Sequential([*stack, keras.layers.Conv2D(32, 3, activation="relu")])


def test_it_trains_on_raw_pixels_and_learns_their_scale(mnist, losses):
    x, y = mnist
    assert x.max() == 255
    model = bn_first()
    first, second = losses(model, x, y, batch_size=16)
    assert second < 0.8 * first
    mean = keras.ops.convert_to_numpy(model.layers[0].moving_mean)
    # 40 updates at momentum .99 carry a third of the way from 0 to the pixels' mean.
    assert float(mean[0]) == pytest.approx((1 - 0.99**40) * x.mean(), rel=0.05)
