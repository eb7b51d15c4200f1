"""What cannot be edited is refused with one clear line."""

import sys

import keras
import pytest
from keras import layers

from normcraft._core.errors import InputError, SurgeryError
from normcraft.graph import LayerGraph
from normcraft.surgery import StatisticsProbe, draw_weights, place
from strategies import untouched


def chain(*middle):
    return keras.Sequential([keras.Input((4,)), *middle, layers.Dense(2, name="head")])


class Subclassed(keras.Model):
    def call(self, x):
        return x


class Reshaping(layers.Layer):
    def call(self, x):
        return x

    def compute_output_spec(self, x):
        raise NotImplementedError


class OwnSteps(keras.Model):
    def __init__(self, units):
        entry = keras.Input((4,))
        super().__init__(entry, layers.Dense(units)(entry))

    def train_step(self, *args):
        return super().train_step(*args)


class OwnChain(keras.Sequential):
    def __init__(self, units):
        super().__init__([keras.Input((4,)), layers.Dense(units)])

    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


class NoConfig(layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


class ForgetsUnits(layers.Layer):
    def __init__(self, units=3, **settings):
        super().__init__(**settings)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(4, shape[-1]))

    def call(self, x):
        if self.units != 5:
            raise ValueError("it was set to 3\nunits")
        return x @ self.kernel * 1.0

    def get_config(self):
        return {"name": self.name}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: chain(ForgetsUnits(5)),
            r"copies of its layers: received in ForgetsUnits: it was set to 3 units, ex",
        ),
        (lambda: keras.Sequential([layers.Dense(2)]), "call model.build"),
        (lambda: chain(Reshaping()), r"cannot infer.*define compute_output_shape\(\)"),
        (Subclassed, "has no graph of layer calls: received a subclassed model"),
        (lambda: OwnSteps(2), r"own train_step, expected a constructor .*inputs, outputs"),
        (lambda: OwnChain(2), r"own compute_loss, expected a constructor .*layers=None"),
        (lambda: chain(NoConfig(abs)), r"layer 'no_config.*' \(NoConfig\) cannot be copied"),
    ],
)
def test_a_model_that_cannot_be_edited_is_refused(make, message):
    model = make()
    with pytest.raises(SurgeryError, match=message) as caught:
        place(model, "input")
    assert "\n" not in str(caught.value)


class KeepsSteps(keras.Model):
    def train_step(self, *args):
        return super().train_step(*args)


class PassesOn(keras.Model):
    def __init__(self, inputs, outputs, name=None, **settings):
        super().__init__(inputs, outputs, name=name, **settings)

    test_step = KeepsSteps.train_step


class KeepsChain(keras.Sequential):
    def train_step(self, *args):
        return super().train_step(*args)


class NoSteps(keras.Model):
    def __init__(self, units):
        entry = keras.Input((4,))
        super().__init__(entry, layers.Dense(units)(entry))


def test_classes_with_training_of_their_own_are_kept():
    entry = keras.Input((4,))
    for cls in (KeepsSteps, PassesOn):
        assert type(place(cls(entry, layers.Dense(2)(entry)), "input").model) is cls
    assert type(place(KeepsChain([entry, layers.Dense(2)]), "input").model) is KeepsChain
    functional = type(keras.Model(entry, layers.Dense(2)(entry)))
    assert type(place(NoSteps(2), "input").model) is functional


def test_drawing_weights_needs_no_constructor():
    assert len(draw_weights(OwnSteps(2), 0)) == 2
    assert len(draw_weights(OwnChain(2), 0)) == 2


class OwnCompile(keras.Model):
    def compile(self, discriminator_optimizer, **settings):
        super().compile(**settings)


def test_a_compile_of_its_own_is_refused_only_where_it_was_called():
    entry = keras.Input((4,))
    model = OwnCompile(entry, layers.Dense(2)(entry))
    assert type(place(model, "input").model) is OwnCompile
    model.compile(discriminator_optimizer="sgd", optimizer="adam", loss="mse")
    with pytest.raises(SurgeryError, match=r"compile.* that takes Keras's arguments"):
        place(model, "input")


class Unmakeable(keras.metrics.Mean):
    def __init__(self, function):
        super().__init__()
        self.function = function


def test_a_metric_that_cannot_be_made_again_is_refused():
    model = chain()
    model.compile("sgd", "mse", metrics=[Unmakeable(abs)])
    with pytest.raises(SurgeryError, match=r"'mean' \(Unmakeable\) cannot be copied"):
        place(model, "input")


@pytest.mark.parametrize(("placement", "kind"), [("inptu", "batch"), ("input", "bach")])
def test_unknown_names_change_nothing(placement, kind):
    model = chain()
    with untouched(model), pytest.raises(InputError, match="did you mean"):
        place(model, placement, kind=kind)


def deep(depth):
    x = entry = keras.Input((4,))
    for _ in range(depth):
        x = layers.Activation("tanh")(x)
    return keras.Model(entry, layers.Dense(2)(x))


def test_a_model_too_deep_for_keras_is_refused_and_not_crashed_on():
    model = deep(150)
    limit = sys.getrecursionlimit()
    depth = len(_stack())
    sys.setrecursionlimit(depth + 140)
    try:
        assert len(LayerGraph.read(model).calls) == 152
        with pytest.raises(SurgeryError, match="deeper than Keras can build"):
            place(model, "input")
        with pytest.raises(SurgeryError, match="deeper than Keras can build"):
            draw_weights(model, 0)
        with pytest.raises(SurgeryError, match="deeper than Keras can build"):
            StatisticsProbe(with_normalization(model))
    finally:
        sys.setrecursionlimit(limit)


def with_normalization(model):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        return place(model, "output").model
    finally:
        sys.setrecursionlimit(limit)


def _stack():
    frame, frames = sys._getframe(), []
    while frame:
        frames.append(frame)
        frame = frame.f_back
    return frames


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (lambda: keras.Input((4,), dtype="int32"), "int32, not floating point"),
        (lambda: keras.Input(()), "no channel axis"),
        (lambda: keras.Input((None, None)), "number of channels is unknown"),
        (lambda: keras.Input((4,), sparse=True), "sparse"),
    ],
)
def test_inputs_that_cannot_be_normalized_are_refused(entry, reason):
    if reason == "sparse" and keras.backend.backend() not in {"jax", "tensorflow"}:
        pytest.skip("this backend has no sparse tensors")
    entry = entry()
    model = keras.Model(entry, layers.Identity(dtype=entry.dtype)(entry))
    assert reason in dict(place(model, "input").skipped)[model.layers[0].name]


def test_a_layer_of_several_outputs_is_refused():
    entry = keras.Input((5, 4))
    model = keras.Model(entry, layers.LSTM(3, return_state=True, name="lstm")(entry))
    assert dict(place(model, "after_output").skipped) == {"lstm": "it has several outputs"}
