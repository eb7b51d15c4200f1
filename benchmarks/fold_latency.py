"""What folding saves at inference: unfolded, folded, and both in ONNX Runtime; interleaved.

    python benchmarks/fold_latency.py [--models R4 ResNet50] [--rounds 30]
        [--data-format channels_first] [--json]

Models with random weights and statistics: ResNet50 and MobileNetV2 at 224 pixels, and the blog's
network (R4) on MNIST's shape, with normalization before and after its activations; batches of 1 and
32. Every round runs each contestant once, in an order of its own; speed-ups are medians of ratios
within rounds with a 95% bootstrap interval. The backend is KERAS_BACKEND's, each as it predicts:
JAX and TensorFlow compiled, PyTorch eager without gradients. On PyTorch the yardstick is
`torch.fx.experimental.optimization.fuse`, which applies `fuse_conv_bn_eval`, on the same network in
torch.nn: R4 written here, the others torchvision's where it is installed. torch.nn has its channels
first; `--data-format channels_first` gives Keras the same.

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


def plain_blog() -> keras.Model:
    """The blog's network (the recipe `blog_cnn`), in Keras's data format of the moment.

    Returns:
        The model.
    """
    layers, first = keras.layers, keras.config.image_data_format() == "channels_first"
    model = keras.Sequential([keras.Input((1, 28, 28) if first else (28, 28, 1))])
    for filters, pools in ((32, True), (64, True), (64, False)):
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        if pools:
            model.add(layers.MaxPooling2D())
    for layer in (
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ):
        model.add(layer)
    return model


def blog(placement: str) -> Callable[[], keras.Model]:
    """The blog's network at a placement.

    Returns:
        What builds it.
    """
    return lambda: place(plain_blog(), f"{placement}+output").model


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


def torch_networks(names: list[str]) -> dict[str, Any]:
    """The same networks in torch.nn: R4 here, the others torchvision's.

    Returns:
        Modules by name; none where torchvision is not installed.
    """
    if names[0].startswith("R4"):
        return {"R4 before": torch_blog()}
    if importlib.util.find_spec("torchvision") is None:
        return {}
    import torchvision

    builders = {"MobileNetV2": "mobilenet_v2", "ResNet50": "resnet50"}
    return {name: getattr(torchvision.models, builders[name])().eval() for name in names}


def torch_blog() -> Any:
    """R4 before its activations in torch.nn.

    Returns:
        The module.
    """
    from torch import nn

    parts: list[Any] = []
    for given, made, pools in ((1, 32, True), (32, 64, True), (64, 64, False)):
        parts += [nn.Conv2d(given, made, 3), nn.BatchNorm2d(made), nn.ReLU()]
        parts += [nn.MaxPool2d(2)] if pools else []
    parts += [nn.Flatten(), nn.Linear(576, 64), nn.BatchNorm1d(64), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(64, 10), nn.BatchNorm1d(10), nn.Softmax(1)).eval()


def torch_runners(name: str, network: Any, x: np.ndarray) -> dict[str, Contestant]:
    """A network of torch.nn, and fused by PyTorch's own functions.

    Returns:
        Both, on channels first.
    """
    import torch
    from torch.fx.experimental.optimization import fuse

    first = x if keras.config.image_data_format() == "channels_first" else x.transpose(0, 3, 1, 2)
    batch = torch.from_numpy(np.ascontiguousarray(first))

    def run(module: Any) -> Contestant:
        def forward() -> Any:
            with torch.no_grad():
                return module(batch)

        return forward

    return {f"torch.nn {name}": run(network), f"torch.nn {name}, fused": run(fuse(network))}


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
        for name, network in torch_networks(names).items():
            title = f"torch.nn {name}"
            contestants |= torch_runners(name, network, x)
            pairs.append((f"{title}, fuse_conv_bn_eval", title, f"{title}, fused"))
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
    formats = ("channels_last", "channels_first")
    parser.add_argument("--data-format", choices=formats, default="channels_last")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    keras.config.set_image_data_format(arguments.data_format)
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
