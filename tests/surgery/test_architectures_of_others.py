"""Models of keras-hub: surgery keeps what it promises, says what it does not reach, or refuses."""

import keras
import numpy as np
import pytest

from normcraft._core.errors import SurgeryError
from normcraft.graph import LayerGraph, is_linear, is_normalization, layers_inside
from normcraft.surgery import insert_normalization, place, remove_normalization
from strategies import same, untouched
from tolerances import assert_close

hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed")
others = pytest.importorskip("benchmarks.surgery_architectures", reason="benchmarks are not here")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.any_backend,
    # What Keras has to say about layers that keras-hub wrote.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
NAMES = ("ResNet v2", "EfficientNet", "BERT")


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    """A model whose outputs vary, data to calibrate on, and other data to compare on."""
    _, build = others.ARCHITECTURES[request.param]
    model = build(hub)
    x, fresh = (others.inputs_for(model, seed) for seed in (0, 1))
    others.enliven(model, x)
    case = others.Case(model, x, fresh)
    assert others.variation(case.before) > 0.01
    return case


def calls(case, family):
    return [call for call in LayerGraph.read(case.model).calls if family(call.layer)]


def test_an_untouched_copy_computes_the_same(case):
    with untouched(case.model):
        result = place(case.model, "as_given")
    assert not result.modified
    assert same(others.outputs(result.model, case.fresh), case.before)


@pytest.mark.parametrize("placement", others.PLACEMENTS)
def test_a_calibrated_insertion_changes_nothing_at_inference(case, placement):
    with untouched(case.model):
        result = insert_normalization(case.model, placement, calibrate=case.x)
    for after, before in zip(others.outputs(result.model, case.fresh), case.before, strict=True):
        assert_close(after, before)


def test_every_dense_and_convolution_is_edited_or_refused_with_a_reason(case):
    result = insert_normalization(case.model, "before_activation")
    seen = [site for site, _ in (*result.inserted, *result.skipped)]
    hidden = [c.site for c in calls(case, lambda layer: layers_inside(layer, is_linear))]
    assert sorted(seen) == sorted(hidden + [call.site for call in calls(case, is_linear)])
    reasons = dict(result.skipped)
    assert all("inside, where surgery does not reach" in reasons[site] for site in hidden)


def test_folding_keeps_outputs_and_says_why_the_rest_stays(case):
    with untouched(case.model):
        result = remove_normalization(case.model, mode="fold")
    assert len(result.removed) + len(result.kept) == len(calls(case, is_normalization))
    for after, before in zip(others.outputs(result.model, case.fresh), case.before, strict=True):
        assert_close(after, before)


def test_what_normalization_has_learned_survives_another_kind_and_another_place(case):
    with untouched(case.model):
        replaced, moved = others.replaced(case), others.moved(case)
    assert replaced["carried"]
    assert moved["carried"]
    assert replaced.get("replaced", 0) == len(calls(case, is_normalization))


def test_plain_keras_loads_an_edited_copy(case, tmp_path):
    edited = insert_normalization(case.model, "before_activation", calibrate=case.x).model
    edited.save(tmp_path / "edited.keras")
    loaded = keras.saving.load_model(tmp_path / "edited.keras")
    assert same(others.outputs(loaded, case.fresh), others.outputs(edited, case.fresh))


@pytest.mark.parametrize("name", ["ViT", "Swin"])
def test_a_model_is_copied_exactly_or_refused_in_one_line_that_names_the_layer(name):
    model = others.ARCHITECTURES[name][1](hub)
    x = others.inputs_for(model, 0)
    with untouched(model):
        try:
            copy = place(model, "as_given").model
        except SurgeryError as refusal:
            line = str(refusal)
            named = [layer.name for layer in model._flatten_layers() if repr(layer.name) in line]
            assert named, line
            assert "\n" not in line
        else:
            assert same(others.outputs(copy, x), others.outputs(model, x))
            assert np.all(np.isfinite(others.outputs(copy, x)[0]))
