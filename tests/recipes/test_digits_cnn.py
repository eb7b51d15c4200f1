import keras
import pytest

from normcraft.recipes import digits_cnn


def test_it_is_plain_and_small():
    # 1·9·16 + 16, 16·9·32 + 32, 128·64 + 64, 64·10 + 10.
    assert digits_cnn().count_params() == 160 + 4_640 + 8_256 + 650
    assert [layer.name for layer in digits_cnn().layers] == (
        ["conv1", "pool1", "conv2", "pool2", "flatten", "dense1", "dense2"]
    )


@pytest.mark.parametrize("placement", ["as_seed", "after_activation"])
def test_two_epochs_on_real_digits_beat_chance(digits, losses, placement):
    x, y = digits
    model = digits_cnn(placement)
    losses(model, x[:1500], y[:1500])
    # The statistics of the batch: after 94 steps moving averages still hold 39% of their start.
    found = keras.ops.convert_to_numpy(model(x[1500:], training=True)).argmax(axis=1)
    assert (found == y[1500:]).mean() > 0.5


def test_widths_are_sizes():
    model = digits_cnn(input_shape=(9, 11, 1), filters=(32, 64), units=128)
    assert model.input_shape == (None, 9, 11, 1)
    assert model.get_layer("conv2").filters == 64
    assert model.get_layer("dense1").units == 128


def test_filters_and_units_are_checked():
    with pytest.raises(ValueError, match="filters cannot be used: received 0"):
        digits_cnn(filters=(4, 0))
    with pytest.raises(ValueError, match=r"units cannot be used: received 1.5"):
        digits_cnn(units=1.5)
