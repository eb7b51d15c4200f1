import pytest

from normcraft.recipes import pooled_cnn

PLAIN = ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "fc1", "fc2"]


def names(model):
    return [layer.name.replace("_batch_normalization", "+") for layer in model.layers]


def test_as_seed_is_the_order_that_the_answer_prints():
    expected = "conv1 relu1 relu1+ pool1 conv2 relu2 relu2+ pool2 flatten fc1 fc1+ fc2 fc2+"
    assert names(pooled_cnn()) == expected.split()


def test_every_placement_of_the_answers_stands_where_it_says():
    before = "conv1 conv1+ relu1 pool1 conv2 conv2+ relu2 pool2 flatten fc1 fc1+ fc2 fc2+"
    pooled = "conv1 relu1 pool1 pool1+ conv2 relu2 pool2 pool2+ flatten fc1 fc2"
    assert names(pooled_cnn("before_activation+output")) == before.split()
    assert names(pooled_cnn("after_pooling")) == pooled.split()
    assert names(pooled_cnn("none")) == PLAIN


def test_the_plain_network_gets_back_the_biases_that_the_answer_drops():
    # Convolutions 320 + 18,496, fc1 1,600 x 128 + 128, fc2 128 x 10 + 10.
    assert pooled_cnn("none").count_params() == 320 + 18_496 + 204_928 + 1_290
    # Four normalizations of 32, 64, 128 and 10 channels; no biases of fc1 and fc2.
    assert pooled_cnn().count_params() == 225_034 + 4 * (32 + 64 + 128 + 10) - 138


def test_the_fully_connected_layers_have_no_activation():
    model = pooled_cnn()
    assert [model.get_layer(n).activation.__name__ for n in ("fc1", "fc2")] == ["linear"] * 2
    assert model.loss.get_config()["from_logits"]


def test_it_trains_on_mnist(mnist, losses):
    x, y = mnist
    first, second = losses(pooled_cnn(), x / 255, y, batch_size=16)
    assert second < 0.8 * first


def test_widths_are_sizes():
    model = pooled_cnn(filters=[32, 32], units=64)
    assert [model.get_layer(n).filters for n in ("conv1", "conv2")] == [32, 32]
    assert model.get_layer("fc1").units == 64


@pytest.mark.parametrize("filters", [(), (8,), (8, 8, 8), 8, "ab"])
def test_filters_are_two(filters):
    with pytest.raises(ValueError, match=r"filters cannot be used.*a tuple of 2 whole numbers"):
        pooled_cnn(filters=filters)
