"""Models to test with: a Hypothesis strategy of small graphs, and tools that look at models."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers, ops

CHANNELS = 4
CLASSES = 3
SHAPES = {"image": (6, 6, CHANNELS), "sequence": (5, CHANNELS), "vector": (CHANNELS,)}


def randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random weights, variances positive: on fresh ones wrong code looks right."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        value = generator.normal(0.2, 0.6, weight.shape)
        if "variance" in weight.name:
            value = np.abs(value) + 0.5
        weight.assign(value.astype("float32"))
    return model


def digest(model: keras.Model) -> str:
    """Everything that an edit could change in the model it was given."""
    operations = [op for part in nested(model) for op in getattr(part, "operations", ())]
    settings = getattr(model, "_compile_config", None)
    optimizer = getattr(model, "optimizer", None)
    seen = {
        "config": model.get_config(),
        "flags": [(layer.name, layer.trainable) for layer in model._flatten_layers()],
        "policies": [str(layer.dtype_policy) for layer in model._flatten_layers()],
        "calls": [(op.name, len(op._inbound_nodes), len(op._outbound_nodes)) for op in operations],
        "compile": settings and {key: repr(value) for key, value in settings.config.items()},
        "optimizer": optimizer and [optimizer.get_config(), arrays(optimizer.variables)],
        "variables": arrays(model.variables),
    }
    text = json.dumps(seen, default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value) -> str:
    array = isinstance(value, np.ndarray)
    return hashlib.sha256(value.tobytes()).hexdigest() if array else repr(value)


def arrays(variables) -> list[np.ndarray]:
    """Copies of variables."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def nested(model: keras.Model) -> list[keras.Model]:
    """A model and all models inside it."""
    return [part for part in model._flatten_layers() if isinstance(part, keras.Model)]


@contextlib.contextmanager
def untouched(model: keras.Model):
    """Asserts that a model is at the end what it was at the beginning, bit for bit."""
    before = digest(model)
    yield
    assert digest(model) == before, "the input model was changed"


def batch_for(model: keras.Model, size: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Random inputs for a model; whole numbers for integer inputs."""
    generator = np.random.default_rng(seed)
    shapes = [(tensor.dtype, (size, *tensor.shape[1:])) for tensor in model.inputs]
    return [
        generator.integers(0, 5, shape).astype(dtype)
        if "int" in dtype
        else generator.normal(0.3, 1, shape).astype(dtype)
        for dtype, shape in shapes
    ]


def outputs(model: keras.Model, x: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """Outputs at inference as a flat list of arrays."""
    x = batch_for(model) if x is None else x
    result = model(x if len(x) > 1 else x[0], training=False)
    return [np.array(ops.convert_to_numpy(value)) for value in keras.tree.flatten(result)]


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    """Whether two lists of arrays are equal bit for bit."""
    return all(np.array_equal(one, other) for one, other in zip(left, right, strict=True))


def weights_by_path(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights by layer and name within their model, whatever the outermost model is called."""
    paths = [weight.path.removeprefix(f"{model.name}/") for weight in model.weights]
    return dict(zip(paths, arrays(model.weights), strict=True))


# --- blocks: each takes a tensor and gives one of the same shape ---------------------------------


def _linear(kind: str, **settings):
    if kind == "image":
        return layers.Conv2D(CHANNELS, 3, padding="same", **settings)
    if kind == "sequence":
        return layers.Conv1D(CHANNELS, 3, padding="same", **settings)
    return layers.Dense(CHANNELS, **settings)


def fused(kind, x):
    return _linear(kind, activation="relu")(x)


def separate(kind, x):
    return layers.LeakyReLU()(_linear(kind)(x))


def normalized(kind, x):
    x = layers.BatchNormalization()(_linear(kind, use_bias=False)(x))
    return layers.Activation("tanh")(x)


def layer_normalized(kind, x):
    return layers.LayerNormalization()(_linear(kind, activation="tanh")(x))


def group_normalized(kind, x):
    return layers.ReLU()(layers.GroupNormalization(2)(_linear(kind)(x)))


def dropped(kind, x):
    return layers.Dropout(0.3)(layers.PReLU()(_linear(kind)(x)))


def residual(kind, x):
    branch = _linear(kind)(_linear(kind, activation="relu")(x))
    return layers.ReLU()(layers.Add()([x, branch]))


def raw_residual(kind, x):
    return ops.relu(x + _linear(kind)(x))


def pre_activation(kind, x):
    branch = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Add()([x, _linear(kind)(branch)])


def concatenated(kind, x):
    both = layers.Concatenate()([_linear(kind, activation="relu")(x), _linear(kind)(x)])
    return layers.Dense(CHANNELS, activation="sigmoid")(both)


def shared(kind, x):
    layer, activation = _linear(kind), layers.ReLU()
    return activation(layer(activation(layer(x))))


def nested_twice(kind, x):
    entry = keras.Input(x.shape[1:])
    encoder = keras.Model(entry, normalized(kind, fused(kind, entry)))
    return encoder(encoder(x))


def nested_chain(kind, x):
    chain = [layers.Input(x.shape[1:]), _linear(kind, activation="relu"), _linear(kind)]
    return keras.Sequential(chain)(x)


def pooled(kind, x):
    if kind == "image":
        return layers.MaxPooling2D(2, strides=1, padding="same")(_linear(kind)(x))
    if kind == "sequence":
        return layers.AveragePooling1D(2, strides=1, padding="same")(_linear(kind)(x))
    return layers.Activation("linear")(x)


def depthwise(kind, x):
    if kind == "image":
        return layers.ReLU()(layers.DepthwiseConv2D(3, padding="same")(x))
    return layers.EinsumDense("...c,cd->...d", CHANNELS, bias_axes="d")(x)


def convolved(kind, x):
    if kind == "image":
        x = layers.SeparableConv2D(CHANNELS, 3, padding="same", activation="relu")(x)
        return layers.Conv2DTranspose(CHANNELS, 3, padding="same")(x)
    return _linear(kind, activation="elu")(x)


CHAINED = (fused, separate, normalized, layer_normalized, dropped, pooled, depthwise, convolved)
BRANCHED = (
    *(group_normalized, residual, raw_residual, pre_activation, concatenated, shared),
    *(nested_twice, nested_chain),
)
HEADS = ("softmax", "separate", "linear", "two")


def build(kind: str, blocks, head: str, *, flatten: bool = False) -> keras.Model:
    """A Functional model of blocks on one kind of input, with a head."""
    entry = x = keras.Input(SHAPES[kind])
    for block in blocks:
        x = block(kind, x)
    if kind != "vector":
        pool = {"image": layers.GlobalAveragePooling2D, "sequence": layers.GlobalMaxPooling1D}
        x = layers.Flatten()(x) if flatten else pool[kind]()(x)
    if head == "softmax":
        return keras.Model(entry, layers.Dense(CLASSES, activation="softmax")(x))
    if head == "separate":
        return keras.Model(entry, layers.Softmax()(layers.Dense(CLASSES)(x)))
    logits = layers.Dense(CLASSES)(x)
    return keras.Model(entry, logits if head == "linear" else [logits, layers.Dense(1)(x)])


def chained(model: keras.Model) -> keras.Model:
    """A chain as a Sequential."""
    return keras.Sequential([keras.Input(model.inputs[0].shape[1:]), *model.layers[1:]])


@dataclass(frozen=True)
class Recipe:
    """A small model to be built in the test (Keras draws random numbers, strategies must not)."""

    kind: str
    blocks: tuple
    head: str
    flatten: bool
    sequential: bool

    def build(self) -> keras.Model:
        """The built model with random weights."""
        model = build(self.kind, self.blocks, self.head, flatten=self.flatten)
        return randomise(chained(model) if self.sequential else model)

    def __repr__(self) -> str:
        names = [block.__name__ for block in self.blocks]
        return f"{self.kind} {names} {self.head} {self.flatten=} {self.sequential=}"


@st.composite
def recipes(draw) -> Recipe:
    """Small models, Functional and Sequential."""
    sequential = draw(st.booleans())
    blocks = st.sampled_from(CHAINED if sequential else CHAINED + BRANCHED)
    return Recipe(
        kind=draw(st.sampled_from(sorted(SHAPES))),
        blocks=tuple(draw(st.lists(blocks, min_size=1, max_size=3))),
        head=draw(st.sampled_from(HEADS[:3] if sequential else HEADS)),
        flatten=draw(st.booleans()),
        sequential=sequential,
    )
