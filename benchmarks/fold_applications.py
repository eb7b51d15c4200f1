"""Folding on every model of `keras.applications`, judged by its logits.

    KERAS_BACKEND=tensorflow python benchmarks/fold_applications.py [--only NAME[,NAME]]
        [--json FILE] [--table PAGE]

Models come without trained weights, at about their smallest input, with 100 logits that are centred
over the images, so that many classes are predicted. Kernels and all four vectors of each batch
normalization are random. On 200 images in float32, and where Keras computes in float64 (on
TensorFlow) on 8 images in that: there the model is widened first and folded then.

Goals: 1e-4 and 1e-9, relative; at least 20 classes predicted.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from benchmarks import surgery_applications as surgery
from keras import applications

from normcraft.surgery import fold_batch_normalization, in_float64

CLASSES, IMAGES, FEW = 100, 200, 8
GOALS = {"float32": 1e-4, "float64": 1e-9, "classes": 20}
BATCH = 50


def build(name: str) -> tuple[keras.Model, np.ndarray]:
    """A model with random weights whose logits are centred.

    Returns:
        The model and its images.
    """
    size = surgery.SMALLEST.get(name, surgery.SIZE)
    model = getattr(applications, name)(
        weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None
    )
    x = surgery.images(size, IMAGES)
    surgery.randomise(model, x[: surgery.IMAGES])
    logits = outputs(model, x)
    head = next(
        layer for layer in reversed(model.layers) if getattr(layer, "bias", None) is not None
    )
    bias = keras.ops.convert_to_numpy(head.bias)
    head.bias.assign(bias - logits.mean(axis=0).reshape(bias.shape))
    return model, x


def outputs(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Logits, some images at a time.

    Returns:
        Shape (images, classes).
    """
    return np.concatenate(
        [surgery.outputs(model, x[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    )


def run(name: str) -> dict[str, Any]:
    """Folds one model.

    Returns:
        The figures.
    """
    started = time.perf_counter()
    model, x = build(name)
    before = outputs(model, x)
    result = fold_batch_normalization(model, verify=False)
    record: dict[str, Any] = {
        "model": name,
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "present": result.folded + len(result.kept),
        "folded": result.folded,
        "kept": surgery.reasons(result.kept),
        "classes": len(set(before.argmax(axis=1).tolist())),
        "float32": surgery.difference(before, outputs(result.model, x)),
        "rounding": surgery.difference(before, outputs(model, np.nextafter(x, np.float32(1e3)))),
        "flipped": int(np.sum(before.argmax(1) != outputs(result.model, x).argmax(1))),
    }
    if keras.backend.result_type("float64", "float32") == "float64":
        wide, few = in_float64(model), x[:FEW].astype("float64")
        folded = fold_batch_normalization(wide, verify=False).model
        record["float64"] = surgery.difference(outputs(wide, few), outputs(folded, few))
    record["seconds"] = round(time.perf_counter() - started)
    return record


PAGE = """# Folding on every model of `keras.applications`

{number} models of Keras {keras} on {backend}; {worst}. What the figures are, says

```bash
KERAS_BACKEND={backend} python benchmarks/fold_applications.py --table docs/folding-applications.md
```

{table}
"""
HEADS = ("model", "BN", "folded", "kept, and why", "classes", "float32", "rounding", "float64")


def table(records: list[dict[str, Any]]) -> str:
    """The page.

    Returns:
        Markdown.
    """
    rows = [list(HEADS), ["---"] * len(HEADS)]
    for one in sorted(records, key=lambda record: record["model"]):
        kept = "; ".join(f"{number}: {reason}" for reason, number in one["kept"].items())
        wide = f"{one['float64']:.1e}" if one.get("float64") is not None else ""
        rows.append(
            [
                *(one["model"], str(one["present"]), str(one["folded"]), kept, str(one["classes"])),
                *(f"{one['float32']:.1e}", f"{one['rounding']:.1e}", wide),
            ]
        )
    worst = [f"the worst {max(r[d] for r in records if d in r):.1e} in {d}" for d in
             ("float32", "float64") if any(d in r for r in records)]  # fmt: skip
    return PAGE.format(
        number=len(records),
        keras=records[0]["keras"],
        backend=records[0]["backend"],
        worst=", ".join(worst) + f", {sum(r['flipped'] for r in records)} labels flipped",
        table="\n".join("| " + " | ".join(row) + " |" for row in rows),
    )


def main() -> None:
    """Parses, runs, prints and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(surgery.NAMES), help="names joined by commas")
    parser.add_argument("--json", type=Path, help="one line a model; models in it are skipped")
    parser.add_argument("--table", type=Path, help="page to write")
    arguments = parser.parse_args()
    surgery.without_compilation()
    written = arguments.json and arguments.json.exists() and arguments.json.read_text("utf-8")
    records = [json.loads(line) for line in (written or "").splitlines()]
    for name in arguments.only.split(","):
        if name in {record["model"] for record in records}:
            continue
        records.append(run(name))
        print(records[-1], flush=True)
        if arguments.json:
            with arguments.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(records[-1]) + "\n")
        keras.utils.clear_session(free_memory=True)
    page = table(records)
    print(page)
    if arguments.table:
        arguments.table.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
