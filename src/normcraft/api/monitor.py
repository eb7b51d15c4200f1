"""The monitor with its report."""

from __future__ import annotations

import os
from pathlib import Path

from normcraft._core.files import write_atomically
from normcraft.diagnostics import Monitor
from normcraft.report.monitor_page import render_monitor

__all__ = ["NormalizationMonitor"]


class NormalizationMonitor(Monitor):
    """Watches normalization during your own `fit`, within 2% of its time; any backend.

    Pass it to `fit` as a callback. It changes no number of the training: the same seed gives the
    same weights with it and without. At the end it says in one line where moving averages are still
    young, layers frozen or weights not finite.

    It copies the weights at some moments, as far apart as the budget asks for, and computes nothing
    until you ask: `history` then holds for each moment what `explain` says of each layer (mean and
    variance of what it receives on your rows, moving averages, the weight of their initial values,
    the gap between training and inference), `explanation` all of the last one.

    Args:
        x: Rows of inputs to look at, of which the first 32 are taken; None for what the weights
            tell alone.
        every: Batches between two moments at least; None for as few as the budget allows.
        budget: Share of the training time that it may take.
        verbose: Whether it says at the end of training what is wrong.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> x, y = np.random.default_rng(0).normal(size=(64, 3)), np.zeros(64)
        >>> chain = [keras.Input((3,)), keras.layers.BatchNormalization(name="bn")]
        >>> model = keras.Sequential([*chain, keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> monitor = NormalizationMonitor(x, verbose=False)
        >>> _ = model.fit(x, y, verbose=0, callbacks=[monitor])
        >>> [record.step for record in monitor.history]
        [0, 2]
        >>> round(monitor.history[-1].layers[0].initial_weight, 4)
        0.9801
    """

    def html(self) -> str:
        """What was recorded, with pictures, and the model as training left it.

        Returns:
            A whole HTML page that needs no network.
        """
        return render_monitor(self.explanation, self.history)

    def report(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Writes the page.

        Args:
            path: Where.
            force: Whether to replace a file that stands there.

        Returns:
            The path.
        """
        return write_atomically(path, self.html(), force=force)
