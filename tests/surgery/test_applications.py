"""The models of `keras.applications` under every pass, with the checks of the benchmark.

A few in every run; all of them by `-m every_application`, which takes more than an hour.
"""

from dataclasses import replace

import keras
import numpy as np
import pytest
from benchmarks import surgery_applications as benchmark
from keras import layers

FEW = {
    "MobileNetV3Small": ("copy", "calibrated", "drop", "fold", "replace", "move", "swap"),
    "DenseNet121": ("copy", "fold", "move"),
    "ConvNeXtTiny": ("copy", "calibrated"),
}


def hold(case, checks):
    """Holds a case to laws, and its model to staying what it was."""
    before = benchmark.digest(case.model)
    for check in checks:
        check(case)
        assert not case.broken, check.__doc__
    assert benchmark.digest(case.model) == before, "the input model was changed"


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_the_main_laws_hold_on_a_few(name, monkeypatch):
    if name == "DenseNet121" and keras.backend.backend() == "jax":
        pytest.skip("JAX compiles each of its many shapes, for a minute")
    monkeypatch.setattr(benchmark, "CALIBRATED", ("before_activation",))
    laws = ("preparation", *FEW[name])
    hold(benchmark.Case.build(name), [getattr(benchmark, f"check_{law}") for law in laws])


@pytest.mark.every_application
@pytest.mark.parametrize("name", benchmark.NAMES)
def test_every_law_holds_on_every_model(name):
    if name == "NASNetMobile" and keras.backend.backend() == "torch":
        pytest.skip("Keras refuses to build it on PyTorch")
    hold(benchmark.Case.build(name), benchmark.CHECKS)


def test_no_model_is_left_out():
    assert len(benchmark.NAMES) == 40


def small_case():
    entry = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(entry)))
    branch = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, branch]))
    return benchmark.Case.of("small", keras.Model(entry, layers.Dense(4)(x)))


@pytest.mark.parametrize("check", benchmark.CHECKS)
def test_every_law_holds_on_a_small_model(check):
    hold(small_case(), [check])


def spoil_bias(result):
    """Moves the last bias by a thousandth."""
    bias = [layer for layer in result.model.layers if getattr(layer, "use_bias", False)][-1].bias
    bias.assign(keras.ops.convert_to_numpy(bias) + np.float32(1e-3))
    return result


def spoil_normalization(result):
    """Moves the scale of the first normalization."""
    found = [layer for layer in result.model.layers if benchmark.is_normalization(layer)]
    for layer in found[:1]:
        layer.gamma.assign(keras.ops.convert_to_numpy(layer.gamma) * np.float32(1.25))
    return result


def undo(result):
    """Gives another model back than was asked for: the one before the edit."""
    return replace(result, model=small_case().model)


SPOILED = {
    "check_copy": ("insert_normalization", spoil_bias, "differs"),
    "check_insert": ("insert_normalization", undo, "layers were added"),
    "check_calibrated": ("insert_normalization", spoil_bias, "moved by"),
    "check_drop": ("insert_normalization", undo, "are left"),
    "check_insert_then_drop": ("insert_normalization", spoil_bias, "dropped again"),
    "check_fold": ("remove_normalization", spoil_bias, "outputs moved by"),
    "check_replace": ("replace_normalization", spoil_normalization, "learned values"),
    "check_move": ("move_normalization", spoil_normalization, "weights were lost"),
    "check_swap": ("swap_activation", undo, "swapped"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_checks_notice_wrong_surgery(name, monkeypatch):
    function, spoil, complaint = SPOILED[name]
    right = getattr(benchmark, function)
    monkeypatch.setattr(benchmark, function, lambda *args, **more: spoil(right(*args, **more)))
    case = small_case()
    getattr(benchmark, name)(case)
    assert any(complaint in line for line in case.broken), case.broken


def test_a_changed_weight_changes_the_digest():
    model = small_case().model
    before = benchmark.digest(model)
    model.layers[1].kernel.assign(keras.ops.convert_to_numpy(model.layers[1].kernel) * 2)
    assert benchmark.digest(model) != before


def test_the_page_lists_refusals_and_broken_laws():
    case = small_case()
    figures = {check.__name__.removeprefix("check_"): check(case) for check in benchmark.CHECKS}
    record = {"model": "VGG16", "keras": "3", "backend": "jax", "broken": [], "figures": figures}
    page = benchmark.table([record, record | {"broken": ["copy: it differs"]}])
    assert "| VGG16 |" in page
    assert "1 a" in page
    assert "(a) output layer" in page
    assert "VGG16 (copy: it differs)" in page
