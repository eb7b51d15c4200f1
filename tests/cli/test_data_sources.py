"""The data of a command: tables, folders of images, archives; and one line for every bad one."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from PIL import Image

layers = keras.layers
QUICK = ["--seeds", "2", "--epochs", "1", "--steps-per-epoch", "4", "--placements", "none,input"]


@pytest.fixture
def wine(folder):
    from sklearn.datasets import load_wine

    bunch = load_wine()
    lines = [",".join([*bunch.feature_names, "cultivar", "alcohol_again"])]
    for x, y in zip(bunch.data.tolist(), bunch.target, strict=True):
        lines.append(",".join(map(str, [*x, bunch.target_names[y], x[0]])))
    (folder / "wine.csv").write_text("\n".join(lines))
    return "wine.csv"


@pytest.fixture
def digits(folder):
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for index in range(200):
        path = folder / "digits_folder" / str(bunch.target[index])
        path.mkdir(parents=True, exist_ok=True)
        pixels = (bunch.images[index] * 255 / 16).astype("uint8")
        Image.fromarray(pixels).save(path / f"{index:03}.png")
    return "digits_folder"


@pytest.fixture
def model(folder):
    inputs = keras.Input((13,), name="columns")
    x = layers.BatchNormalization(name="norm")(layers.Dense(8, name="hidden")(inputs))
    keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x), name="m").save("m.keras")
    return "m.keras"


@pytest.mark.parametrize("recipe", ["mlp", "tabular_mlp"])
def test_a_table_of_classes_is_compared(run, wine, recipe, folder):
    code, out, err = run(
        "compare", recipe, "--data", wine, "--target", "cultivar", *QUICK, "--json"
    )
    assert code == 0, err
    document = json.loads(out)
    assert document["metric"] == "accuracy"
    notes = " ".join(document["notes"])
    assert "14 columns are inputs, the target is 'cultivar'" in notes
    assert "labels were mapped: 'class_0' = 0, 'class_1' = 1, 'class_2' = 2" in notes


def test_a_table_of_numbers_is_regression(run, wine, folder):
    lines = (folder / wine).read_text().replace("class_", "").splitlines()
    (folder / wine).write_text("\n".join(lines))
    code, out, err = run(
        "compare", "tabular_mlp", "--data", wine, "--target", "alcohol", *QUICK, "--json"
    )
    assert code == 0, err
    document = json.loads(out)
    assert document["metric"] == "mean_absolute_error"
    none, other = document["arms"]
    assert other["difference"] == pytest.approx(none["mean"] - other["mean"])
    code, out, err = run(
        "compare", "tabular_mlp", "--data", wine, "--target", "cultivar", "--labels", "numbers",
        *QUICK, "--json",
    )  # fmt: skip
    assert (code, json.loads(out)["metric"]) == (0, "mean_absolute_error")


def test_a_folder_of_images_is_compared(run, digits):
    code, out, err = run("compare", "digits_cnn", "--data", digits, *QUICK)
    assert code == 0, err
    assert "digits_cnn on digits_folder" in out
    assert "scaled from 0..255 to [0, 1]" in " ".join(out.split())


def test_a_folder_of_coloured_images_sizes_the_recipe(run, folder):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        for index in range(20):
            pixels = random.integers(0, 255, (9, 7, 3), dtype="uint8")
            Image.fromarray(pixels).save(folder / "pets" / name / f"{index}.png")
    code, out, err = run("compare", "--data", "pets", *QUICK)
    assert code == 0, err
    assert "each seed validates on 8 of 40 samples" in out


def test_without_a_model_a_table_is_sent_to_the_recipes_for_it(run, wine):
    code, out, err = run("compare", "--data", wine, "--target", "cultivar")
    assert (code, out) == (2, "")
    assert err == (
        "normcraft: the recipe 'digits_cnn' does not take such data: received a table of 14 "
        "columns, expected images; recipes for it: mlp, tabular_mlp "
        "(normcraft compare tabular_mlp ...)\n"
    )


def test_gaps_are_offered_the_mapping_which_then_works(run, folder):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    np.savez(folder / "gaps.npz", x_train=x, y_train=np.arange(60) % 3 * 2 + 1)
    code, _, err = run("compare", "tabular_mlp", "--data", "gaps.npz", *QUICK)
    assert code == 2
    assert "--labels map (labels='map') numbers them: 1 = 0, 3 = 1, 5 = 2" in err
    code, out, err = run("compare", "tabular_mlp", "--data", "gaps.npz", "--labels", "map", *QUICK)
    assert code == 0, err
    assert "labels were mapped: 1 = 0, 3 = 1, 5 = 2" in out


def narrow(folder, wine):
    """The table without its last column: as many inputs as the model has."""
    rows = [line.rsplit(",", 1)[0] for line in (folder / wine).read_text().splitlines()]
    (folder / wine).write_text("\n".join(rows))


@pytest.mark.parametrize(
    "command",
    [
        ["fold", "m.keras", "--dry-run", "--data"],
        ["verify", "m.keras", "m.keras", "--data"],
        ["place", "m.keras", "--placement", "as_given+input", "--dry-run", "--calibrate"],
    ],
    ids=lambda words: words[0],
)
def test_other_commands_take_a_table_too(run, folder, wine, model, command):
    narrow(folder, wine)
    code, _, err = run(*command, wine, "--target", "cultivar")
    assert code == 0, err
    assert "13 columns are inputs, the target is 'cultivar'" in err
    code, out, err = run(*command, wine)
    assert (code, out) == (2, "")
    assert "a table needs a target column: received the columns 'alcohol'" in err
    code, _, err = run(*command[:-1], "--target", "cultivar")
    assert code == 2
    assert err == "normcraft: a target column without data: received --target 'cultivar'\n"


BAD = {
    "no target": (["--data", "wine.csv"], "a table needs a target column"),
    "unknown target": (
        ["--data", "wine.csv", "--target", "cultivars"],
        "did you mean 'cultivar'?",
    ),
    "a target for a name": (
        ["--data", "digits", "--target", "cultivar"],
        "a target column belongs to a table: received target 'cultivar' for 'digits'",
    ),
    "unknown labels": (
        ["--data", "wine.csv", "--target", "cultivar", "--labels", "mpa"],
        "unknown labels: received 'mpa'",
    ),
    "a missing table": (["--data", "no.csv", "--target", "a"], "no such data file"),
    "a text column": (
        ["--data", "wine.csv", "--target", "alcohol"],
        "received 'class_0' in line 2, column 'cultivar'",
    ),
    "a folder of nothing": (["--data", "."], "there are no class folders in"),
    "a sheet": (["--data", "wine.xlsx"], "a .csv file and its target column"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_one_clear_line(run, folder, wine, case):
    (folder / "wine.xlsx").write_bytes(b"PK")
    arguments, text = BAD[case]
    code, out, err = run("compare", "tabular_mlp", *arguments, *QUICK)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1, err
