"""What batch normalization costs: Keras's layer against ours, alone and in a network's step.

    python benchmarks/layer_cost.py [--rounds 60] [--only alone|step] [--json]

Alone: forward and backward of the layer in training mode, moving averages included, as Keras's
trainer runs it on the backend: JAX in one jitted program, TensorFlow in a graph (its default on a
CPU), PyTorch eagerly. Beside Keras's layer run `torch.nn.BatchNorm` (where PyTorch is the backend),
eight copies of the input, the least that forward and backward can move, and what a call of a layer
costs that does nothing. In a step: the blog's network (R4) at batch 32 through `fit`, plain, with
Keras's layers and with ours; what counts is the time that they add. Every round runs each once, in
an order of its own; figures are medians of what is found within rounds, with a 95% bootstrap
interval. The backend is KERAS_BACKEND's.

Goals, against Keras's layer: PyTorch at most 1/3 of its time alone and 1/2 of the added time,
TensorFlow .6 alone, JAX .8 alone, and nowhere slower: the lower bound of Keras's time over ours is
at least .97.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from normcraft.layers import BatchNormalization
from normcraft.recipes import blog_cnn

SHAPES = ((32, 26, 26, 32), (32, 11, 11, 64), (128, 56, 56, 64), (256, 1024), (64, 128, 256))
LARGE = 10**7  # values from which fewer rounds do
STEPS = 20  # of a network in one round
ALONE = {"torch": 1 / 3, "tensorflow": 0.6, "jax": 0.8}
GOAL = 0.97
Contestant = Callable[[], Any]
Times = dict[str, np.ndarray]


class Nothing(keras.layers.Layer):
    """A layer that does nothing."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Nothing.

        Returns:
            The inputs.
        """
        del training
        return inputs


def layer_pass(layer: keras.layers.Layer, x: np.ndarray, gradient: np.ndarray) -> Contestant:
    """Forward and backward of a layer, as Keras's trainer runs it.

    Returns:
        A function that waits for the result.
    """
    layer.build(x.shape)
    return {"jax": on_jax, "tensorflow": on_tensorflow, "torch": on_torch}[keras.backend.backend()](
        layer, x, gradient
    )


def on_jax(layer: keras.layers.Layer, x: np.ndarray, gradient: np.ndarray) -> Contestant:
    """In one jitted program.

    Returns:
        What runs it.
    """
    import jax

    trained, kept = (
        [v.value for v in part]
        for part in (layer.trainable_variables, layer.non_trainable_variables)
    )

    @jax.jit
    def both(trained: Any, kept: Any, x: Any, gradient: Any) -> Any:
        def forward(trained: Any, x: Any) -> Any:
            return layer.stateless_call(trained, kept, x, training=True)

        y, back, moved = jax.vjp(forward, trained, x, has_aux=True)
        return y, back(gradient), moved

    x, gradient = jax.device_put(x), jax.device_put(gradient)
    return lambda: jax.block_until_ready(both(trained, kept, x, gradient))


def on_tensorflow(layer: keras.layers.Layer, x: np.ndarray, gradient: np.ndarray) -> Contestant:
    """In a graph.

    Returns:
        What runs it.
    """
    import tensorflow as tf

    x, gradient = tf.constant(x), tf.constant(gradient)
    weights = [v.value for v in layer.trainable_variables]

    @tf.function
    def both(x: Any, gradient: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return y, tape.gradient(y, [x, *weights], output_gradients=gradient)

    def run() -> Any:
        return both(x, gradient)[0][0, 0].numpy()

    return run


def on_torch(layer: keras.layers.Layer, x: np.ndarray, gradient: np.ndarray) -> Contestant:
    """Eagerly.

    Returns:
        What runs it.
    """
    import torch

    given = torch.tensor(x, requires_grad=True)
    against = torch.tensor(gradient)
    weights = [v.value for v in layer.trainable_variables]
    return lambda: torch.autograd.grad(layer(given, training=True), [given, *weights], against)


def native(x: np.ndarray, gradient: np.ndarray) -> dict[str, Contestant]:
    """`torch.nn.BatchNorm1d` on a matrix and `BatchNorm2d` with channels first.

    Returns:
        None where PyTorch is not the backend.
    """
    if keras.backend.backend() != "torch":
        return {}
    import torch

    rank = x.ndim
    first = np.moveaxis(x, -1, 1).copy(), np.moveaxis(gradient, -1, 1).copy()
    given, against = torch.tensor(first[0], requires_grad=True), torch.tensor(first[1])
    layer = (torch.nn.BatchNorm2d if rank == 4 else torch.nn.BatchNorm1d)(x.shape[-1])
    weights = list(layer.parameters())
    return {
        "torch.nn": lambda: torch.autograd.grad(layer(given), [given, *weights], against),
    }


def copies(x: np.ndarray) -> Contestant:
    """Eight copies of the input within memory that is there already.

    Returns:
        A function.
    """
    target = np.empty_like(x)

    def run() -> None:
        for _ in range(8):
            np.copyto(target, x)

    return run


def interleaved(contestants: dict[str, Contestant], rounds: int) -> Times:
    """Seconds of each contestant in each round, the first of which is left out.

    Returns:
        Arrays of one value a round.
    """
    generator, times = np.random.default_rng(0), {name: [] for name in contestants}
    for _ in range(rounds + 2):
        for name in generator.permutation(list(contestants)):
            started = time.perf_counter()
            contestants[name]()
            times[name].append(time.perf_counter() - started)
    return {name: np.array(values[2:]) for name, values in times.items()}


def with_interval(values: np.ndarray) -> list[float]:
    """Median with its 95% bootstrap interval.

    Returns:
        `[median, low, high]`.
    """
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return [float(np.median(values)), float(low), float(high)]


def alone(rounds: int) -> list[dict[str, Any]]:
    """The layer by itself, at each shape.

    Returns:
        A row a shape.
    """
    rows = []
    for shape in SHAPES:
        generator = np.random.default_rng(0)
        x, gradient = (generator.normal(size=shape).astype("float32") for _ in range(2))
        contestants = {
            "keras": layer_pass(keras.layers.BatchNormalization(), x, gradient),
            "ours": layer_pass(BatchNormalization(), x, gradient),
            "call": layer_pass(Nothing(), x, gradient),
            "copies": copies(x),
            **native(x, gradient),
        }
        times = interleaved(contestants, rounds if x.size < LARGE else max(8, rounds // 6))
        share = with_interval(times["ours"] / times["keras"])
        rows.append(
            {
                "shape": list(shape),
                "milliseconds": {name: 1000 * float(np.median(t)) for name, t in times.items()},
                "of_keras": share,
                "speed_up": with_interval(times["keras"] / times["ours"]),
                "goal": ALONE[keras.backend.backend()],
            }
        )
    return rows


def with_ours(model: keras.Model) -> keras.Model:
    """The model with our layer in place of Keras's.

    Returns:
        A compiled copy.
    """

    def swapped(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = BatchNormalization if isinstance(layer, keras.layers.BatchNormalization) else None
        return (kind or type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=swapped)
    copy.compile(**keras.saving.deserialize_keras_object(model.get_compile_config()))
    return copy


def in_a_step(rounds: int) -> dict[str, Any]:
    """What normalization adds to a step of R4.

    Returns:
        One row.
    """
    generator = np.random.default_rng(0)
    x = generator.uniform(size=(32 * STEPS, 28, 28, 1)).astype("float32")
    y = generator.integers(0, 10, len(x))
    theirs = blog_cnn("before_activation+output")
    models = {"plain": blog_cnn(), "keras": theirs, "ours": with_ours(theirs)}

    def fitted(model: keras.Model) -> Contestant:
        return lambda: model.fit(x, y, batch_size=32, shuffle=False, verbose=0)

    times = interleaved({name: fitted(model) for name, model in models.items()}, rounds)
    added = {name: times[name] - times["plain"] for name in ("keras", "ours")}
    return {
        "milliseconds": {n: 1000 * float(np.median(t)) / STEPS for n, t in times.items()},
        "added_milliseconds": {n: 1000 * float(np.median(t)) / STEPS for n, t in added.items()},
        "added_of_keras": ratio_of_medians(added["ours"], added["keras"]),
        "speed_up": with_interval(times["keras"] / times["ours"]),
    }


def ratio_of_medians(above: np.ndarray, below: np.ndarray) -> list[float]:
    """Median over median, rounds drawn together for the 95% bootstrap interval.

    Returns:
        `[ratio, low, high]`.
    """
    rows = np.random.default_rng(0).integers(0, len(above), (2000, len(above)))
    draws = np.median(above[rows], 1) / np.median(below[rows], 1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return [float(np.median(above) / np.median(below)), float(low), float(high)]


def show(found: dict[str, Any]) -> None:
    """Prints the tables."""
    print(f"{found['backend']}, Keras {keras.__version__}, {found['rounds']} rounds")
    for row in found.get("alone", ()):
        share, faster = (
            "{:.2f} ({:.2f} to {:.2f})".format(*row[k]) for k in ("of_keras", "speed_up")
        )
        times = ", ".join(f"{name} {value:.2f}" for name, value in row["milliseconds"].items())
        met = row["of_keras"][0] <= row["goal"] and row["speed_up"][1] >= GOAL
        print(f"{tuple(row['shape'])}: {share} of Keras's time, {faster} times as fast; "
              f"ms: {times}; goal {row['goal']:.2f}: {'met' if met else 'MISSED'}")  # fmt: skip
    if "step" in found:
        row = found["step"]
        print("a step of R4, ms:", {k: round(v, 2) for k, v in row["milliseconds"].items()})
        print(
            "added, of what Keras's add: {:.2f} ({:.2f} to {:.2f})".format(*row["added_of_keras"])
        )
        print(
            "the step, Keras's time over ours: {:.3f} ({:.3f} to {:.3f})".format(*row["speed_up"])
        )


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", choices=["alone", "step"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {"backend": keras.backend.backend(), "rounds": options.rounds}
    if options.only != "step":
        found["alone"] = alone(options.rounds)
    if options.only != "alone":
        found["step"] = in_a_step(max(8, options.rounds // 3))
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
