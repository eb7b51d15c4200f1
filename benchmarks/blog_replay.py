"""The blog's six cells at full length, and four of them over six seeds: what holds of it.

    python benchmarks/blog_replay.py --data mnist.npz --store blog.db [--part cells|seeds] [--json]

`cells`: learning rate {.001, .01, .05} x {relu, sigmoid}, 3 epochs of 1875 steps, seed 0, batches
in the data's own order, validation on the test set, as the blog did. `seeds`: {.001, .01} x
{sigmoid, relu} over 6 seeds at 1 epoch. Records go to the store; another run repeats nothing.
"""

from __future__ import annotations

import argparse
import json
import sys

import normcraft

CELLS = [(rate, activation) for rate in (0.001, 0.01, 0.05) for activation in ("relu", "sigmoid")]
SEEDED = [(rate, activation) for rate in (0.001, 0.01) for activation in ("sigmoid", "relu")]


def run(part: str, data: str, store: str) -> list[dict[str, object]]:
    """Runs one part.

    Returns:
        A row for each cell and arm.
    """
    rows = []
    for rate, activation in CELLS if part == "cells" else SEEDED:
        epochs, seeds = (3, (0,)) if part == "cells" else (1, 6)
        result = normcraft.train_and_test(
            rate, activation, epochs, data=data, seeds=seeds, store=store, verbose=False
        )
        print(f"{activation} {rate}: {result.verdict}", file=sys.stderr, flush=True)
        for arm in result.arms:
            own = [record for record in result.records if record.spec.arm == arm.name]
            curve = [[point.validation_score for point in record.curve] for record in own]
            rows.append(
                {
                    "part": part,
                    "learning_rate": rate,
                    "activation": activation,
                    "arm": arm.name,
                    "mean": arm.mean,
                    "as_trained_mean": arm.as_trained_mean,
                    "difference": arm.difference,
                    "difference_interval": arm.difference_interval,
                    "p_value": arm.p_value,
                    "training": [record.curve[-1].score for record in own],
                    "curves": curve,
                    "outcomes": dict(arm.outcomes),
                    "step_milliseconds": arm.step_milliseconds,
                }
            )
    return rows


def main() -> None:
    """Parses, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="an .npz with x_train y_train x_test y_test")
    parser.add_argument("--store", default="blog_replay.db")
    parser.add_argument("--part", choices=["cells", "seeds"], default="cells")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = run(arguments.part, arguments.data, arguments.store)
    if arguments.json:
        print(json.dumps(rows))
        return
    print("| lr | activation | arm | re-estimated | as trained | validation by epoch | training |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        curve = " ".join("-" if p is None else f"{p:.4f}" for p in row["curves"][0])  # type: ignore[index]
        training = [t for t in row["training"] if t is not None]  # type: ignore[union-attr]
        cells = [row["mean"], row["as_trained_mean"]]
        shown = ["-" if cell is None else f"{cell:.4f}" for cell in cells]
        last = f"{sum(training) / len(training):.4f}" if training else "-"
        name = f"{row['learning_rate']} | {row['activation']} | {row['arm']}"
        print(f"| {name} | {shown[0]} | {shown[1]} | {curve} | {last} |")


if __name__ == "__main__":
    main()
