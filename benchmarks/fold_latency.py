"""What folding saves at inference: unfolded, folded, and both in ONNX Runtime; interleaved.

    python benchmarks/fold_latency.py [--models R4 ResNet50] [--rounds 30] [--json]

Models with random weights and statistics: ResNet50 and MobileNetV2 at 224 pixels, and the blog's
network (R4) on MNIST's shape, with normalization before and after its activations; batches of 1 and
32. Every round runs each contestant once, in an order of its own; speed-ups are medians of ratios
within rounds with a 95% bootstrap interval. The backend is KERAS_BACKEND's, each as it predicts:
JAX and TensorFlow compiled, PyTorch eager without gradients. On PyTorch the yardstick is
`torch.fx.experimental.optimization.fuse`'s core, `fuse_conv_bn_eval`, on the same network written
in torch.nn layers (R4 alone: the others exist in torch.nn only in other packages).

Goals: never slower (lower bound of the speed-up at least .97), on PyTorch at least as much as
`fuse_conv_bn_eval`, and R4 after activations as fast as R4 before.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft.recipes import load_recipe
from normcraft.surgery import fold_batch_normalization, place

Contestant = Callable[[], Any]
BATCHES = (1, 32)
GOAL = 0.97


def randomised(model: keras.Model) -> keras.Model:
    """Random statistics and normalization weights, gammas positive.

    Returns:
        The model.
    """
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in {"gamma", "moving_variance"}:
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.name in {"beta", "moving_mean"}:
            weight.assign(generator.normal(0, 0.3, weight.shape))
    return model


def blog(placement: str) -> Callable[[], keras.Model]:
    """The blog's network at a placement.

    Returns:
        What builds it.
    """
    return lambda: place(load_recipe("blog_cnn")(), f"{placement}+output").model


MODELS: dict[str, Callable[[], keras.Model]] = {
    "R4 before": blog("before_activation"),
    "R4 after": blog("after_activation"),
    "MobileNetV2": lambda: keras.applications.MobileNetV2(weights=None),
    "ResNet50": lambda: keras.applications.ResNet50(weights=None),
}


def runner(model: keras.Model, x: np.ndarray) -> Contestant:
    """Runs a model on a batch that is on the device already.

    Returns:
        A function that waits for the result.
    """
    name = keras.backend.backend()
    if name == "jax":
        import jax

        trained, kept = ([v.value for v in part] for part in (
            model.trainable_variables, model.non_trainable_variables))  # fmt: skip
        program = jax.jit(lambda t, k, batch: model.stateless_call(t, k, batch, training=False)[0])
        batch = jax.device_put(x)
        return lambda: program(trained, kept, batch).block_until_ready()
    if name == "tensorflow":
        import tensorflow as tf

        program = tf.function(lambda batch: model(batch, training=False))
        batch = tf.constant(x)
        return lambda: program(batch).numpy()
    import torch

    batch = torch.from_numpy(x)

    def run() -> Any:
        with torch.no_grad():
            return model(batch, training=False)

    return run


def onnx_runner(model: keras.Model, x: np.ndarray) -> Contestant | None:
    """Runs a model in ONNX Runtime.

    Returns:
        None where it, or the converter, is not installed, or cannot convert on this backend.
    """
    if importlib.util.find_spec("onnxruntime") is None or keras.backend.backend() == "jax":
        return None
    import onnxruntime

    spec = keras.InputSpec(shape=x.shape, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        model.export(str(path), format="onnx", verbose=False, input_signature=[spec])
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # its idle threads spin, and slow the others down
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(path), options)
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)


def torch_runners(x: np.ndarray) -> dict[str, Contestant]:
    """R4 before activations in torch.nn, and fused by PyTorch's own function.

    Returns:
        Both, on channels first.
    """
    import torch
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    def block(linear: Any, norm: Any, *, fused: bool) -> list[Any]:
        fuse = fuse_linear_bn_eval if isinstance(linear, nn.Linear) else fuse_conv_bn_eval
        return [fuse(linear.eval(), norm.eval())] if fused else [linear, norm]

    def network(*, fused: bool) -> Any:
        torch.manual_seed(0)
        parts: list[Any] = []
        sizes = ((1, 32, True), (32, 64, True), (64, 64, False))
        for given, made, pools in sizes:
            parts += block(nn.Conv2d(given, made, 3), nn.BatchNorm2d(made), fused=fused)
            parts += [nn.ReLU(), nn.MaxPool2d(2)] if pools else [nn.ReLU()]
        parts += [nn.Flatten(), *block(nn.Linear(576, 64), nn.BatchNorm1d(64), fused=fused)]
        parts += [nn.ReLU(), *block(nn.Linear(64, 10), nn.BatchNorm1d(10), fused=fused)]
        return nn.Sequential(*parts, nn.Softmax(1)).eval()

    batch = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))

    def run(model: Any) -> Contestant:
        def forward() -> Any:
            with torch.no_grad():
                return model(batch)

        return forward

    return {
        "torch.nn": run(network(fused=False)),
        "torch.nn, fused by torch": run(network(fused=True)),
    }


def measure(contestants: dict[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round.

    Returns:
        Lists of equal length.
    """
    generator = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in [*contestants.values()] * 3:  # compile, fill caches
        run()
    for _ in range(rounds):
        for name in generator.permutation(list(contestants)):
            started = time.perf_counter()
            contestants[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def speed_up(slow: list[float], fast: list[float]) -> dict[str, float]:
    """The median of the paired ratios with a 95% bootstrap interval.

    Returns:
        `median`, `low`, `high`.
    """
    ratios = np.array(slow) / np.array(fast)
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), (0.025, 0.975))
    return {"median": float(np.median(ratios)), "low": float(low), "high": float(high)}


def compare(names: list[str], batch: int, rounds: int) -> list[dict[str, Any]]:
    """Measures models of one input shape together.

    Returns:
        A record a comparison.
    """
    contestants: dict[str, Contestant] = {}
    pairs: list[tuple[str, str, str]] = []
    for name in names:
        model = randomised(MODELS[name]())
        x = np.random.default_rng(0).normal(size=(batch, *model.inputs[0].shape[1:]))
        x = x.astype("float32")
        folded = fold_batch_normalization(model, verify=False).model
        contestants |= {name: runner(model, x), f"{name}, folded": runner(folded, x)}
        pairs.append((name, name, f"{name}, folded"))
        both = onnx_runner(model, x), onnx_runner(folded, x)
        if both[0] and both[1]:
            contestants |= {f"{name}, ONNX": both[0], f"{name}, folded, ONNX": both[1]}
            pairs += [
                (f"{name} in ONNX Runtime", f"{name}, ONNX", f"{name}, folded, ONNX"),
                (f"{name}: ONNX Runtime on Keras", f"{name}, folded", f"{name}, folded, ONNX"),
            ]
    if len(names) > 1:
        pairs.append(("R4 after, folded, to R4 before", "R4 before, folded", "R4 after, folded"))
        if keras.backend.backend() == "torch":
            contestants |= torch_runners(x)
            pairs.append(("torch.nn by fuse_conv_bn_eval", "torch.nn", "torch.nn, fused by torch"))
    seconds = measure(contestants, rounds)
    return [
        {
            "comparison": title,
            "batch": batch,
            "milliseconds": [1e3 * float(np.median(seconds[one])) for one in (slow, fast)],
            "speed_up": speed_up(seconds[slow], seconds[fast]),
        }
        for title, slow, fast in pairs
    ]


def main() -> None:
    """Parses, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["R4", "MobileNetV2", "ResNet50"])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    records = []
    for group in arguments.models:
        names = [name for name in MODELS if name.startswith(group)]
        for batch in BATCHES:
            records += compare(names, batch, arguments.rounds)
    if arguments.json:
        print(json.dumps({"backend": keras.backend.backend(), "records": records}))
        return
    print(f"{keras.backend.backend()}, Keras {keras.__version__}")
    print("| comparison | batch | ms | ms | speed-up |\n|---|---|---|---|---|")
    for one in records:
        slow, fast = one["milliseconds"]
        found = one["speed_up"]
        ratio = f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
        print(f"| {one['comparison']} | {one['batch']} | {slow:.2f} | {fast:.2f} | {ratio} |")


if __name__ == "__main__":
    main()
