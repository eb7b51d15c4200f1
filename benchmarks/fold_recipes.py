"""Every recipe of the seeds trained on its real data at every placement, folded, and compared.

    python benchmarks/fold_recipes.py --mnist mnist.npz --faces fer2013.npz
        [--only R4 R6] [--steps 100] [--json FILE] [--table PAGE]

Folded models have to predict the same class on the whole test set. Rows whose two highest outputs
are closer than rounding are counted apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft.api.prepare import as_dataset, fit_to_model, load_for
from normcraft.data import Dataset, from_arrays
from normcraft.graph import LayerGraph, is_normalization
from normcraft.placements import placement_names
from normcraft.recipes import conv_block
from normcraft.surgery import fold_batch_normalization, place, verify_equivalence

BATCH = 64
MADE = ("none", "as_given")
PLACEMENTS = ("as_given", *(name for name in placement_names() if name not in MADE))


def table_of_digits() -> Dataset:
    """The digits as 64 columns.

    Returns:
        A dataset of vectors.
    """
    digits = as_dataset("digits", None)
    flat = np.asarray(digits.x_train, "float32").reshape(len(digits.x_train), -1) / 16
    return from_arrays(flat, digits.y_train)


def block_model() -> keras.Model:
    """Two calls of `conv_block` in other orders, and a head.

    Returns:
        A compiled model for MNIST.
    """
    image = keras.Input((28, 28, 1))
    x = conv_block(image, 8, order="conv-norm-act", name="first")
    x = keras.layers.MaxPooling2D()(x)
    x = conv_block(x, 8, order="conv-act-norm", padding="valid", name="second")
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(10, "softmax", name="head")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def plain_model() -> keras.Model:
    """What seed 001 converts: layers with fused activations.

    Returns:
        A compiled model for digits as columns.
    """
    units = ((64, "tanh"), (32, "relu"))
    hidden = [keras.layers.Dense(n, name, name=f"hidden_{n}") for n, name in units]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def systems(mnist: Path | None, faces: Path | None) -> Iterator[tuple[str, Any, Dataset]]:
    """The systems of the seeds with their data.

    Yields:
        Name, what `load_for` takes, and the data.
    """
    yield "R1 mlp", "mlp", table_of_digits()
    yield "R3 convert", plain_model, table_of_digits()
    if mnist:
        digits = as_dataset(str(mnist), None)
        yield "R2 conv_block", block_model, digits
        yield "R4 blog_cnn", "blog_cnn", digits
        yield "R5 pooled_cnn", "pooled_cnn", digits
    if faces:
        yield "R6 emotion_cnn", "emotion_cnn", as_dataset(str(faces), None)


def placements(source: Any, dataset: Dataset) -> list[str]:
    """The placements that a system has a place for.

    Returns:
        Those that put normalization somewhere, and `as_given` where it has any.
    """
    model = source() if callable(source) else load_for(source, dataset)
    calls = LayerGraph.read(model).calls
    given = any(is_normalization(call.layer) for call in calls)
    return [p for p in PLACEMENTS if (given if p == "as_given" else place(model, p).inserted)]


def run(name: str, source: Any, dataset: Dataset, placement: str, steps: int) -> dict[str, Any]:
    """Trains one system with one placement, folds it and compares the two on the test set.

    Returns:
        The figures.
    """
    keras.utils.set_random_seed(0)
    base = source() if callable(source) else load_for(source, dataset)
    result = place(base, placement)
    model, data = result.model, fit_to_model(dataset, base)
    images = data.x_test if data.x_test is not None else data.x_train
    model.fit(data.x_train, data.y_train, batch_size=BATCH, steps_per_epoch=steps, verbose=0)
    folded = fold_batch_normalization(model, verify=False)
    found = verify_equivalence(model, folded.model, images, float64=False)
    given = [one for one in found.differences if one.inputs == "given"]
    return {
        "system": name,
        "placement": placement,
        "present": sum(is_normalization(call.layer) for call in LayerGraph.read(model).calls),
        "folded": folded.folded,
        "kept": dict(folded.kept),
        "rows": len(images),
        "labels_flipped": sum(one.label_flips for one in given),
        "near_ties": sum(one.near_ties for one in given),
        "relative": max(one.relative for one in given),
        "tolerance": max(one.tolerance for one in given),
        "equivalent": found.equivalent,
    }


HEADS = ("system", "placement", "folded", "test rows", "labels flipped", "near ties", "relative")


def table(records: list[dict[str, Any]]) -> str:
    """The figures as Markdown.

    Returns:
        A table.
    """
    rows = [HEADS, ["---"] * len(HEADS)]
    for one in records:
        folds = f"{one['folded']} of {one['present']}"
        counts = (one["rows"], one["labels_flipped"], one["near_ties"], f"{one['relative']:.1e}")
        rows.append([one["system"], f"`{one['placement']}`", folds, *counts])
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows) + "\n"


def main() -> None:
    """Parses, runs, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="MNIST as .npz; without it R2, R4, R5 are left")
    parser.add_argument("--faces", type=Path, help="FER2013 as .npz; without it R6 is left out")
    parser.add_argument("--only", nargs="+", default=[f"R{n}" for n in range(1, 7)])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    records = []
    for name, source, dataset in systems(arguments.mnist, arguments.faces):
        for placement in placements(source, dataset) if name[:2] in arguments.only else ():
            records.append(run(name, source, dataset, placement, arguments.steps))
            print(records[-1], flush=True)
    page = table(records)
    print(page)
    if arguments.table:
        arguments.table.write_text(page, encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(json.dumps(records), encoding="utf-8")


if __name__ == "__main__":
    main()
