import keras
import pytest

from normcraft.recipes import blog_cnn


def test_the_layers_are_those_of_the_blog():
    model = blog_cnn()
    assert [layer.name for layer in model.layers] == (
        ["conv1", "pool1", "conv2", "pool2", "conv3", "flatten", "dense1", "dense2"]
    )
    assert model.get_layer("flatten").output.shape == (None, 576)
    assert [model.get_layer(n).activation.__name__ for n in ("conv1", "dense1", "dense2")] == [
        "relu",
        "relu",
        "softmax",
    ]


def test_plain_and_normalized_have_the_parameters_of_the_blog():
    assert blog_cnn().count_params() == 93_322
    assert blog_cnn("none").count_params() == 93_322
    assert blog_cnn("before_activation+output").count_params() == 94_024


def test_activation_and_learning_rate_are_those_asked_for():
    model = blog_cnn(activation="sigmoid", learning_rate=0.05)
    assert model.get_layer("conv3").activation is keras.activations.sigmoid
    assert model.get_layer("dense2").activation is keras.activations.softmax
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    assert isinstance(model.optimizer, keras.optimizers.Adam)


def test_it_trains_on_mnist_plain_and_normalized(mnist, losses):
    x, y = mnist
    for placement in ("as_seed", "before_activation+output"):
        first, second = losses(blog_cnn(placement), x / 255, y, batch_size=16)
        assert second < 0.8 * first


@pytest.mark.parametrize("activation", ["rulu", None, "", 3])
def test_an_unknown_activation_is_refused(activation):
    with pytest.raises(ValueError, match=r"unknown activation: .*name of a Keras activation"):
        blog_cnn(activation=activation)


@pytest.mark.parametrize("rate", [0, -1, "0.1", None, float("nan"), float("inf")])
def test_a_learning_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match=r"learning_rate cannot be used.*a finite number above 0"):
        blog_cnn(learning_rate=rate)
