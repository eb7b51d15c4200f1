"""How much of what stale statistics cost `recalibrate` gives back: the blog's 187 steps, 8 seeds.

    python benchmarks/recalibrate_gap.py --mnist mnist.npz [--seeds 8] [--epochs 1] [--shuffle]
        [--json]

The blog's normalized network (`blog_cnn("before_activation+output")`, relu, Adam .001, batches of
32, MNIST / 255) is trained for epochs of 187 steps, in the order of the data as the blog did, or
shuffled. Validation is the test set, as the blog did.

as trained: accuracy at inference with the moving averages that training left. reference: accuracy
in training mode, each batch of 250 validation images normalized by its own statistics, which is
what the weights are worth without any moving average. The gap is reference - as trained, the share
that is recovered (recalibrated - as trained) / gap; above 1 where population statistics are better
than those of 250 images. Statistics are re-estimated over all 60,000 training images: at once (the
default), layer by layer, and at once over 20 batches (5,120 images).

Times are CPU times of whole calls over the training images, the building and compiling of the probe
included, against one `predict` (compiled before), the calls taking turns; ratios for each seed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import keras
import numpy as np

import normcraft as nc
from normcraft.kinds import batch

STEPS, BATCH, REFERENCE_BATCH = 187, 32, 250
WAYS: dict[str, dict[str, Any]] = {
    "at once": {},
    "layer by layer": {"layerwise": True},
    "20 batches": {"num_batches": 20},
}


def main() -> None:
    """Parses, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, help="mnist.npz of keras.datasets")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with np.load(arguments.mnist) as file:
        x, x_test = (
            file[name][..., None].astype("float32") / 255 for name in ("x_train", "x_test")
        )
        y, y_test = file["y_train"], file["y_test"]
    rows = [one_seed(seed, x, y, x_test, y_test, arguments) for seed in range(arguments.seeds)]
    print(json.dumps(rows) if arguments.json else table(rows))


def one_seed(
    seed: int, x: Any, y: Any, x_test: Any, y_test: Any, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Trains one network and judges it in all ways.

    Returns:
        Accuracies, shares of the gap, ratios of times, and how far the two estimates are apart.
    """
    keras.utils.set_random_seed(seed)
    model = nc.recipes.blog_cnn("before_activation+output")
    order = np.arange(len(y))
    for epoch in range(arguments.epochs):
        if arguments.shuffle:
            order = np.random.default_rng((seed, epoch)).permutation(len(y))
        taken = order[: STEPS * BATCH]
        model.fit(x[taken], y[taken], batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
        order = np.roll(order, -STEPS * BATCH)
    accuracies = {"as trained": at_inference(model, x_test, y_test)}
    accuracies["reference"] = in_training_mode(model, x_test, y_test)
    model.predict(x[:512], batch_size=256, verbose=0)
    seconds, results = {}, {}
    seconds["predict"], _ = timed(lambda: model.predict(x, batch_size=256, verbose=0))
    for way, options in WAYS.items():
        seconds[way], results[way] = timed(partial(nc.recalibrate, model, x, **options))
        accuracies[way] = at_inference(results[way].model, x_test, y_test)
    gap = accuracies["reference"] - accuracies["as trained"]
    return {
        "seed": seed,
        "accuracies": accuracies,
        "shares": {way: (accuracies[way] - accuracies["as trained"]) / gap for way in WAYS},
        "times": {way: seconds[way] / seconds["predict"] for way in WAYS},
        "apart": apart(results["at once"].model, results["layer by layer"].model),
    }


def at_inference(model: Any, x: Any, y: Any) -> float:
    """Accuracy with the model's statistics.

    Returns:
        A fraction.
    """
    return float(np.mean(model.predict(x, batch_size=256, verbose=0).argmax(axis=1) == y))


def in_training_mode(model: Any, x: Any, y: Any) -> float:
    """Accuracy with the statistics of each batch; the model's own stay.

    Returns:
        A fraction.
    """
    held = [keras.ops.convert_to_numpy(v) for v in model.non_trainable_variables]
    found = []
    for start in range(0, len(x), REFERENCE_BATCH):
        part = model(x[start : start + REFERENCE_BATCH], training=True)
        found.append(keras.ops.convert_to_numpy(part).argmax(axis=1))
    for variable, value in zip(model.non_trainable_variables, held, strict=True):
        variable.assign(value)
    return float(np.mean(np.concatenate(found) == y))


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of CPU time that a call takes.

    Returns:
        `(seconds, what it returned)`.
    """
    begun = time.process_time()
    result = call()
    return time.process_time() - begun, result


def apart(one: Any, other: Any) -> dict[str, float]:
    """How far the statistics of two copies are apart, the furthest channel.

    Returns:
        Difference of means in standard deviations, and of variances relative.
    """
    means, variances = [], []
    for layer, twin in zip(one.layers, other.layers, strict=True):
        if isinstance(layer, keras.layers.BatchNormalization):
            (mean, variance), (mean2, variance2) = batch.statistics(layer), batch.statistics(twin)
            means.append(np.max(np.abs(mean - mean2) / np.sqrt(variance2 + layer.epsilon)))
            variances.append(np.max(np.abs(variance - variance2) / (variance2 + layer.epsilon)))
    return {"mean": float(max(means)), "variance": float(max(variances))}


def table(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown.

    Returns:
        A row a seed, the median and the smallest; then the times.
    """
    columns = ["as trained", *WAYS, "reference"]
    lines = ["| seed | " + " | ".join(columns) + " | recovered: " + " | ".join(WAYS) + " |"]
    lines.append("|---" * (1 + len(columns) + len(WAYS)) + "|")
    for row in rows:
        cells = [f"{row['accuracies'][name]:.4f}" for name in columns]
        cells += [f"{row['shares'][way]:.1%}" for way in WAYS]
        lines.append(f"| {row['seed']} | " + " | ".join(cells) + " |")
    for word, function in (("median", median), ("smallest", min)):
        cells = [f"{function(r['accuracies'][name] for r in rows):.4f}" for name in columns]
        cells += [f"{function(r['shares'][way] for r in rows):.1%}" for way in WAYS]
        lines.append(f"| {word} | " + " | ".join(cells) + " |")
    for way in WAYS:
        ratios = [row["times"][way] for row in rows]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"\n{way}: {spread} times the CPU time of one predict")
    for name, unit in (("mean", "standard deviations"), ("variance", "of the variance")):
        worst = [row["apart"][name] for row in rows]
        lines.append(f"\nlayer by layer against at once, {name}: up to {max(worst):.2g} {unit}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
