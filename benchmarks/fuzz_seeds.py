"""Valid files of each kind, from which damaged ones are made."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.fuzz_mutations import Files

__all__ = ["seeds"]

KINDS = ("npz", "keras", "csv", "images")
ROWS = 40
COLORS = ("red", "green")


def seeds(kind: str) -> list[Files]:
    """Valid files.

    Args:
        kind: `"npz"`, `"keras"`, `"csv"` or `"images"`.

    Returns:
        Some cases, each one file or those of a folder.
    """
    return {"npz": _archives, "keras": _models, "csv": _tables, "images": _folders}[kind]()


def _archives() -> list[Files]:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(ROWS, 4)).astype("float32"), np.arange(ROWS) % 3
    images = random.integers(0, 256, (ROWS, 6, 6, 1)).astype("uint8")
    names = np.array(["red", "green", "blue"])
    return [
        {"data.npz": content}
        for content in (
            _npz(x_train=x, y_train=y),
            _npz(x_train=x, y_train=y, x_test=x[:9], y_test=y[:9], class_names=names),
            _npz(True, x_train=images, y_train=y.astype("uint8"), notes=np.zeros(3)),
            _npz(x_train=x.astype("float64"), y_train=random.normal(size=(ROWS, 1))),
            _npz(x_train=np.asfortranarray(x), y_train=np.eye(3, dtype="float32")[y]),
        )
    ]


def _npz(compressed: bool = False, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def _models() -> list[Files]:
    import keras

    layers = keras.layers
    table = keras.Input((4,))
    left = layers.BatchNormalization()(layers.Dense(8)(table))
    x = layers.Dropout(0.5)(layers.ReLU()(left + layers.Dense(8)(table)))
    dense = keras.Model(table, layers.Dense(3, "softmax")(x))
    dense.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    dense.optimizer.build(dense.trainable_variables)
    stack = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(4, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.MaxPooling2D(),
        layers.SeparableConv2D(4, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10),
    ]
    words = keras.Input((6,), dtype="int32")
    read = layers.Bidirectional(layers.LSTM(4))(layers.Embedding(20, 4)(words))
    scaled = [
        keras.Input((4,)),
        layers.Normalization(mean=[0.0] * 4, variance=[1.0] * 4),
        layers.Dense(6, kernel_regularizer="l2"),
        layers.LayerNormalization(),
        layers.Dense(1),
    ]
    outer = keras.Input((4,))
    nested = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.UnitNormalization()])
    models = [
        dense,
        keras.Sequential(stack),
        keras.Model(words, layers.Dense(2)(read)),
        keras.Sequential(scaled),
        keras.Model(outer, [nested(outer), layers.Dense(2)(nested(outer))]),
    ]
    return [{"model.keras": _saved(model)} for model in models]


def _saved(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return path.read_bytes()


def _tables() -> list[Files]:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(ROWS, 3)).round(4)
    plain = ["a,b,c,y", *(f"{a},{b},{c},{i % 3}" for i, (a, b, c) in enumerate(numbers))]
    labels = [
        '"first, name",b,y',
        *(f'"{a}",{i},{COLORS[i % 2]}' for i, (a, _, _) in enumerate(numbers)),
    ]
    regression = ["a,y", *(f"{a},{b}" for a, b, _ in numbers)]
    return [{"data.csv": "\n".join([*lines, ""]).encode()} for lines in (plain, labels, regression)]


def _folders() -> list[Files]:
    from PIL import Image

    random = np.random.default_rng(0)
    cases = []
    for suffix, mode in (("png", "RGB"), ("jpg", "RGB"), ("png", "L"), ("png", "P"), ("jpg", "L")):
        files = {}
        for number in range(12):
            pixels = random.integers(0, 256, (8, 8, 3)).astype("uint8")
            stream = io.BytesIO()
            Image.fromarray(pixels).convert(mode).save(stream, {"jpg": "JPEG"}.get(suffix, "PNG"))
            files[f"{COLORS[number % 2]}/{number}.{suffix}"] = stream.getvalue()
        cases.append(files)
    return cases
