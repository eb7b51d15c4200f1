"""`normcraft compare --budget` and `--placements auto`, from the command line."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest


@pytest.fixture
def model(folder):
    network = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, "relu", name="a"),
            keras.layers.Dense(4, "relu", name="b"),
            keras.layers.Dense(2, "softmax", name="head"),
        ]
    )
    path = folder / "model.keras"
    network.save(path)
    return path


@pytest.fixture
def table(folder):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 4)).astype("float32")
    np.savez(folder / "data.npz", x_train=x, y_train=(x[:, 0] > 0).astype("int64"))
    return folder / "data.npz"


@pytest.mark.parametrize("budget", ["soon", "10", "0m", "-3trials", "1.5epochs"])
def test_a_bad_budget_is_one_clear_line_and_exit_2(run, model, table, budget):
    code, out, err = run("compare", model, "--data", table, f"--budget={budget}")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "bad budget" in err
    assert "10m" in err


def test_a_search_prints_how_it_was_searched_and_a_rerun_goes_on(run, model, table):
    call = ("compare", model, "--data", table, "--epochs", "2", "--seeds", "6", "--placements",
            "auto", "--budget", "160epochs", "--json")  # fmt: skip
    code, out, err = run(*call)
    assert code == 0, err
    found = json.loads(out)
    search = found["search"]
    names = {arm["name"]: arm for arm in search["arms"]}
    assert names["before_activation@first"]["parent"] == "before_activation"
    assert search["epochs"] <= 160
    assert {control["name"] for control in search["controls"]} == {"no change", "random"}
    assert "rung 1 of 2" in err
    again = json.loads(run(*call)[1])
    assert again["verdict"] == found["verdict"]
    assert again["search"] == search


def test_without_a_budget_the_document_says_nothing_of_a_search(run, model, table):
    out = run("compare", model, "--data", table, "--epochs", "1", "--seeds", "1", "--json")[1]
    assert json.loads(out)["search"] is None
