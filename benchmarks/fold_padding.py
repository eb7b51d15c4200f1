"""Whether a normalization in front of a `same` convolution is worth folding by explicit padding.

    python benchmarks/fold_padding.py [--rounds 60]

conv(w·x + b) with zeros around is, exactly, the convolution with the kernel w·W over x with −b/w
around, a constant for each channel. Keras pads with zeros alone, so such a frame has to be joined
on, which copies the whole input. Three contestants compute the same function, checked here: the
normalization as it stands, the plain affine map that `rest="affine"` makes of it, and the folded
convolution behind the joined frame. Interleaved; medians of paired ratios with a 95% bootstrap
interval. The backend is KERAS_BACKEND's.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from benchmarks.fold_latency import measure, randomised, runner, speed_up
from keras import layers, ops

from normcraft.surgery import fold_batch_normalization

SHAPES = ((26, 26, 32), (56, 56, 64))
BATCHES = (1, 32)


def normalized(shape: tuple[int, ...]) -> keras.Model:
    """Batch normalization, then a convolution of three by three that keeps the size.

    Returns:
        The model, with random statistics.
    """
    inputs = keras.Input(shape)
    x = layers.BatchNormalization(name="norm")(inputs)
    return randomised(
        keras.Model(inputs, layers.Conv2D(shape[-1], 3, padding="same", name="conv")(x))
    )


def padded(model: keras.Model) -> keras.Model:
    """The same function: the frame joined on, a `valid` convolution behind it.

    Returns:
        The model.
    """
    norm, conv = model.get_layer("norm"), model.get_layer("conv")
    scale = norm.gamma / ops.sqrt(norm.moving_variance + norm.epsilon)
    shift = norm.beta - norm.moving_mean * scale
    height, width, channels = model.inputs[0].shape[1:]
    frame = np.asarray(ops.convert_to_numpy(-shift / scale), "float32")
    row, column = np.tile(frame, (1, 1, width, 1)), np.tile(frame, (1, height + 2, 1, 1))

    class Frame(layers.Layer):
        """Joins the constant on at each side."""

        def call(self, x):
            """The input with a row or column of the constant on each side.

            Returns:
                Shape (batch, height + 2, width + 2, channels).
            """
            rows = ops.broadcast_to(row, (ops.shape(x)[0], *row.shape[1:]))
            columns = ops.broadcast_to(column, (ops.shape(x)[0], *column.shape[1:]))
            x = ops.concatenate([rows, x, rows], axis=1)
            return ops.concatenate([columns, x, columns], axis=2)

    inputs = keras.Input((height, width, channels))
    folded = layers.Conv2D(conv.filters, 3)
    result = keras.Model(inputs, folded(Frame()(inputs)))
    kernel = conv.kernel * ops.reshape(scale, (1, 1, -1, 1))
    bias = conv.bias + ops.sum(conv.kernel * ops.reshape(shift, (1, 1, -1, 1)), axis=(0, 1, 2))
    folded.set_weights([ops.convert_to_numpy(kernel), ops.convert_to_numpy(bias)])
    return result


def compare(shape: tuple[int, ...], batch: int, rounds: int) -> list[str]:
    """Checks that the three agree, and measures them together.

    Returns:
        A line a contestant.
    """
    model = normalized(shape)
    models = {
        "batch normalization": model,
        "plain affine map": fold_batch_normalization(model, rest="affine", verify=False).model,
        "explicit padding": padded(model),
    }
    x = np.random.default_rng(0).normal(size=(batch, *shape)).astype("float32")
    outputs = [ops.convert_to_numpy(each(x, training=False)) for each in models.values()]
    for output in outputs[1:]:
        assert np.abs(output - outputs[0]).max() < 1e-4 * np.abs(outputs[0]).max()
    seconds = measure({name: runner(each, x) for name, each in models.items()}, rounds)
    lines = []
    for name, own in seconds.items():
        found = speed_up(seconds["batch normalization"], own)
        ratio = f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
        lines.append(f"| {shape} | {batch} | {name} | {1e3 * np.median(own):.2f} | {ratio} |")
    return lines


def main() -> None:
    """Parses, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    print(f"{keras.backend.backend()}, Keras {keras.__version__}")
    print("| input | batch | before the convolution | ms | speed-up |\n|---|---|---|---|---|")
    for shape in SHAPES:
        for batch in BATCHES:
            print("\n".join(compare(shape, batch, rounds)))


if __name__ == "__main__":
    main()
