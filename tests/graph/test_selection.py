"""Which calls `only=` and `skip=` speak of."""

import keras
import pytest
from keras import layers

from normcraft._core.errors import InputError
from normcraft.graph import LayerGraph, Selection


@pytest.fixture
def graph() -> LayerGraph:
    entry = keras.Input((8, 8, 3), name="x")
    x = layers.Conv2D(4, 3, name="block1_conv")(entry)
    x = layers.ReLU(name="relu1")(layers.BatchNormalization(name="bn1")(x))
    x = layers.Conv2D(4, 3, activation="relu", name="block2_conv")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(4, "relu", name="hidden")(x)
    return LayerGraph.read(keras.Model(entry, layers.Dense(2, name="head")(x)))


@pytest.mark.parametrize(
    ("only", "skip", "expected"),
    [
        (None, None, "x block1_conv bn1 relu1 block2_conv pool hidden head"),
        ("block1_*", None, "block1_conv bn1 relu1"),
        ("bn1", None, "bn1"),
        ("relu?", None, "relu1"),
        ("type=Conv2D", None, "block1_conv bn1 relu1 block2_conv pool"),
        ("type=BaseConv", None, "block1_conv bn1 relu1 block2_conv pool"),
        ("type=Conv2D", "block2_*", "block1_conv bn1 relu1"),
        (["block2_*", "head"], None, "block2_conv pool head"),
        ("depth<2", None, "block1_conv bn1 relu1"),
        ("depth = 2", None, "block2_conv pool"),
        ("depth>=3", None, "hidden head"),
        (None, "depth<=3", "x head"),
        (lambda call: call.layer.name == "hidden", None, "hidden"),
        ("type=Layer", "type=Dense", "x block1_conv bn1 relu1 block2_conv pool"),
    ],
)
def test_criteria_choose_calls(graph, only, skip, expected):
    chosen = Selection(graph, only, skip)
    assert [call.site for call in graph.calls if call in chosen] == expected.split()


def test_depth_counts_the_longest_way():
    entry = keras.Input((4,), name="x")
    long = layers.Dense(4, name="b")(layers.Dense(4, name="a")(entry))
    total = layers.Add(name="sum")([entry, long])
    graph = LayerGraph.read(keras.Model(entry, layers.Dense(2, name="c")(total)))
    assert [c.site for c in graph.calls if c in Selection(graph, only="depth=3")] == ["c"]
    assert [c.site for c in graph.calls if c in Selection(graph, only="depth=2")] == ["b", "sum"]


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ("block9_*", r"only matches no layer of the model: received 'block9_\*', expected a name"),
        ("hiden", "did you mean 'hidden'"),
        ("type=Conv9D", "its sites are x, block1_conv"),
        ("depth>99", "matches no layer"),
        ("", "only cannot be read: received ''"),
        ([], "only names nothing"),
        (3, "only cannot be read: received 3"),
        (["head", None], "only cannot be read: received None"),
    ],
)
def test_criteria_that_choose_nothing_are_errors(graph, criterion, message):
    with pytest.raises(InputError, match=message) as caught:
        Selection(graph, only=criterion)
    assert "\n" not in str(caught.value)


def test_skip_names_itself(graph):
    with pytest.raises(InputError, match="skip matches no layer"):
        Selection(graph, skip="nothing")
