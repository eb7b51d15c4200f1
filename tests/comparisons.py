"""Made-up comparisons with realistic numbers, and whatever a test wants changed in them."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np

from normcraft.records import Arm, Epoch, Summary, TrialRecord, TrialSpec, Verdict
from normcraft.studies.summarize import summarize

NAMES = ("none", "before_activation", "after_activation")
LEVELS = {"none": 0.948, "before_activation": 0.957, "after_activation": 0.964}
VERSIONS = {"python": "3.11.9", "keras": "3.15.1", "jax": "0.4.34", "normcraft": "0.1.0"}
MACHINE = {"processor": "AMD EPYC 7B13", "cores": "2", "system": "Linux 6.1"}


def make_arms(names=NAMES, config: str | None = None) -> list[Arm]:
    return [make_arm(name, config) for name in names]


def make_arm(name: str, config: str | None = None) -> Arm:
    normalized = name != "none"
    return Arm(
        name=name,
        placement=name,
        kind="batch" if normalized else None,
        activation=None,
        batch_size=32,
        config=config or json.dumps(sequential_config()),
        parameters=94_024 if normalized else 93_322,
        foldable="all" if name == "before_activation" else "none" if normalized else None,
        inserted=(("conv_1", "batch"), ("conv_2", "batch"), ("dense", "batch")) * normalized,
        skipped=(("dense_out", "the output layer keeps its scale"),) * normalized,
        biases_dropped=3 if name == "before_activation" else 0,
    )


def make_record(
    arm: str, seed: int, rate: float, *, epochs: int = 10, **changes: Any
) -> TrialRecord:
    random = np.random.default_rng([len(arm), seed, int(rate * 1e6)])
    level = LEVELS.get(arm, 0.95) + 0.004 * random.normal() - 0.02 * (rate > 0.01)
    diverged = rate > 0.01 and arm == "none" and seed in (2, 5)
    last = 4 if diverged else epochs
    blank = dict.fromkeys((each.name for each in fields(TrialSpec)), "")
    spec = TrialSpec(**{**blank, "arm": arm, "seed": seed, "learning_rate": rate, "epochs": epochs})
    record = TrialRecord(
        spec=spec,
        outcome="diverged" if diverged else "finished",
        reason="loss is not finite" if diverged else None,
        curve=tuple(_epoch(number, level, random) for number in range(1, last + 1)),
        score=None if diverged else round(level, 4),
        score_as_trained=None if diverged else round(level - 0.003, 4),
        loss=None if diverged else 0.2,
        test_score=None if diverged else round(level - 0.005, 4),
        chance_score=0.1,
        seconds=1.2,
        step_milliseconds=3.1 if arm == "none" else 3.6,
        activations={} if diverged else _activations(arm, random),
        versions=VERSIONS,
        machine=MACHINE,
    )
    return replace(record, **changes)


def _epoch(number: int, level: float, random: np.random.Generator) -> Epoch:
    reached = level * (1 - 0.6 * np.exp(-0.7 * number)) + 0.006 * random.normal()
    loss = 0.12 + 2.0 * float(np.exp(-0.6 * number)) + 0.02 * abs(random.normal())
    return Epoch(number, loss, float(reached), loss + 0.03, float(reached) - 0.004, 0.1)


def _activations(arm: str, random: np.random.Generator) -> dict[str, dict[str, float]]:
    layers = ["conv_1", "conv_2", "dense"]
    return {
        layer: {
            "mean": float(0.3 + 0.1 * random.normal()),
            "std": float(0.6 + 0.4 * depth * (arm == "none")),
            "zero": 0.45 + 0.1 * depth,
        }
        for depth, layer in enumerate(layers)
    }


def make_comparison(
    names=NAMES, seeds: int = 8, rates=(0.01,), **changes: Any
) -> tuple[Summary, list[Arm], list[TrialRecord]]:
    arms = make_arms(names)
    records = [
        make_record(name, seed, rate) for seed in range(seeds) for name in names for rate in rates
    ]
    verdict, lines = summarize(
        arms, records, baseline=names[0], higher_is_better=True, smallest_effect=None,
        as_fraction=True, metric="accuracy",
    )  # fmt: skip
    summary = Summary(
        verdict=verdict,
        arms=lines,
        metric="accuracy",
        higher_is_better=True,
        as_fraction=True,
        trials=len(records),
        seconds=58.3,
        trainer="fit",
        executor="local",
        store="normcraft-runs/digits_cnn-digits-3f9a1c.db",
        report="normcraft-runs/digits_cnn-digits-3f9a1c.html",
        model="digits_cnn",
        data="digits",
        notes=("integer images were scaled to [0, 1] and given a channel axis",),
        command="normcraft compare digits_cnn --data digits --seeds 8",
    )
    return replace(summary, **changes), arms, records


def make_empty(**changes: Any) -> Summary:
    verdict = Verdict("no trial has ended yet", "cannot_tell", None, "none", None, None, None)
    summary = Summary(
        verdict=verdict, arms=(), metric="accuracy", higher_is_better=True, as_fraction=True,
        trials=0, seconds=0.0, trainer="fit", executor="local", store=None, report=None,
        model="digits_cnn", data="digits",
    )  # fmt: skip
    return replace(summary, **changes)


def sequential_config() -> dict[str, Any]:
    """A Sequential model as Keras serializes it, with only what cannot be left out."""

    def layer(class_name: str, **config: Any) -> dict[str, Any]:
        return {"module": "keras.layers", "class_name": class_name, "config": config}

    shape = {"dtype": "float32", "sparse": False, "ragged": False, "optional": False}
    layers = [
        layer("InputLayer", batch_shape=[None, 8, 8, 1], name="image", **shape),
        layer("Conv2D", name="conv_1", filters=16, kernel_size=[3, 3], use_bias=False),
        layer("BatchNormalization", name="conv_1_norm"),
        layer("ReLU", name="relu_1"),
        layer("Flatten", name="flatten"),
        layer("Dense", name="dense_out", units=10, activation="softmax"),
    ]
    config = {"name": "digits_cnn", "layers": layers}
    return {"module": "keras", "class_name": "Sequential", "config": config}
