"""The page and the table of an explanation, and the small pictures in them."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from browser import INSTALLED, browsing
from normcraft.diagnostics import (
    Course,
    Distribution,
    Explanation,
    LayerExplanation,
    LayerRecord,
    MonitorRecord,
    OutputGap,
    Shift,
)
from normcraft.report.explanation_page import render_explanation
from normcraft.report.explanation_text import explanation_text, figure, share
from normcraft.report.monitor_page import render_monitor
from normcraft.report.plots import histogram, lines

HOSTILE = "</style><script>bad=1</script><img src=x onerror='bad=1'>\x1b[2J"
VALUES = Distribution.of(np.random.default_rng(0).normal(2, 3, 4000))


def layer(name="conv", **changes) -> LayerExplanation:
    return replace(
        LayerExplanation(
            name=name,
            kind="batch",
            placement=None,
            mode="training",
            mean=(1.25, -2.0),
            variance=(4.0, 9.0),
            inference_mean=(1.5, -2.0),
            inference_variance=(4.5, 9.0),
            moving_mean=(0.5, -1.0),
            moving_variance=(2.0, 3.0),
            scale=(1.0, 1.0),
            shift=(0.0, 0.0),
            epsilon=0.001,
            epsilon_share=0.00025,
            epsilon_over_tenth=0.0,
            effective_samples=2048,
            statistics=2,
            statistic_mean=(-2.0, -0.375, 1.25),
            statistic_std=(2.0, 2.5, 3.0),
            momentum=0.99,
            initial_weight=0.366,
            settled_step=459,
            train_inference_gap=0.5,
            mean_gap=0.25,
            own_gap=0.4,
            received=VALUES,
            normalized=VALUES,
            scaled=VALUES,
            at_inference=VALUES,
            findings=("36.6% of its moving averages are still initial values",),
        ),
        **changes,
    )


def explanation(*layers, **changes) -> Explanation:
    layers = layers or (layer(),)
    found = Explanation(
        model="net",
        data="digits",
        rows=32,
        steps=100,
        steps_from="counted by the optimizer",
        layers=layers,
        outputs=(OutputGap("head", 0.125, 0.0625, 3),),
        findings=tuple(f"{one.name}: {f}" for one in layers for f in one.findings),
    )
    return replace(found, **changes)


def shift(name="conv") -> Shift:
    course = Course((0.0, 0.1), (1.0, 1.1), (-1.0, -0.9), (0.0, 0.1), (1.0, 1.2), (0.25,))
    return Shift(name, name, course, replace(course, moved=(math.nan,)))


def test_the_page_shows_the_numbers_that_it_was_given():
    page = render_explanation(explanation(shift=(shift(),), trained_steps=1))
    for text in ("net on digits", "2,048", "-2 to 1.2", "2 to 3", "36.6%", "459", "3 of 32"):
        assert text in page
    assert "moved by 0.25 with normalization and – without in all" in page
    assert page.count("<svg") == 3 + 3


def test_nothing_from_a_model_acts_on_the_page():
    bad = layer(HOSTILE, findings=(HOSTILE,), kind=HOSTILE)
    page = render_explanation(
        explanation(
            bad,
            model=HOSTILE,
            data=HOSTILE,
            notes=(HOSTILE,),
            steps_from=HOSTILE,
            outputs=(OutputGap(HOSTILE, 0.1, 0.1, None),),
            shift=(shift(HOSTILE),),
        )
    )
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("</style>") == 1
    assert "\x1b" not in page
    assert "\x1b" not in explanation_text(explanation(bad, model=HOSTILE, notes=(HOSTILE,)))


def test_where_nothing_is_remarkable_it_says_so():
    page = render_explanation(explanation(layer(findings=())))
    assert "Nothing remarkable" in page
    assert "What to look at" not in page


def test_sites_and_missing_numbers_are_dashes():
    names = ("kind", "mode", "moving_mean", "moving_variance", "scale", "shift", "epsilon")
    names += ("epsilon_share", "epsilon_over_tenth", "momentum", "initial_weight", "settled_step")
    names += ("own_gap", "scaled", "at_inference", "received", "normalized", "statistic_mean")
    site = layer(placement="before_activation", findings=(), **dict.fromkeys(names))
    found = explanation(site, outputs=(), steps=None)
    assert "before activation" in render_explanation(found)
    assert "1 site" in explanation_text(found)
    assert "–" in explanation_text(found)


def test_of_many_channels_the_first_are_shown_and_the_rest_counted():
    wide = layer(
        mean=(1.0,) * 200,
        variance=(1.0,) * 200,
        **dict.fromkeys(("inference_mean", "inference_variance", "scale", "shift")),
        moving_mean=None,
        moving_variance=None,
    )
    wide = replace(wide, inference_mean=(1.0,) * 200, inference_variance=(1.0,) * 200)
    assert "64 of 200" in render_explanation(explanation(wide))
    assert "and 136 channels more" in explanation_text(explanation(wide))


def test_the_page_of_a_monitor_draws_what_was_recorded():
    def record(step, gap):
        row = LayerRecord("conv", "training", 0.99**step, (0.0,), (4.0,), (1.0,), (9.0,), 0.3)
        row = replace(row, mean_gap=gap, quantiles=(-1.0, 0.0, 1.0))
        return MonitorRecord(step, 1, float(step), (row,))

    page = render_monitor(explanation(), [record(0, 0.9), record(50, 0.5)])
    assert "at 2 moments from step 0 to 50" in page
    assert "initial values 60.5%, gap 0.5" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (0.0, "0"),
        (1234.5, "1234"),
        (0.012345, "0.0123"),
        (1e-9, "1e-09"),
    ],
)
def test_figures_are_short(value, text):
    assert figure(value) == text


def test_shares_are_percentages():
    cells = [share(v) for v in (None, 0.0, 1e-5, 0.366, 1.0)]
    assert cells == ["–", "0.0%", "<0.1%", "36.6%", "100.0%"]


def points(path: str) -> np.ndarray:
    return np.array([list(map(float, pair.split())) for pair in path[1:].split("L")])


def test_a_histogram_is_drawn_in_proportion():
    drawn = histogram("a", "b", [("received", VALUES)])
    (_, path) = drawn["marks"][0]
    tops = points(path)[1:-1:2]
    floor = points(path)[0, 1]
    heights = floor - tops[:, 1]
    counts = np.asarray(VALUES.counts)
    assert heights / heights.max() == pytest.approx(counts / counts.max(), abs=0.01)
    assert (points(path)[:, 0] >= 7.9).all()
    assert (points(path)[:, 0] <= drawn["width"] - 7.9).all()


def test_lines_are_drawn_in_proportion_and_leave_out_what_is_no_number():
    drawn = lines("a", "b", [("other", [0.0, 1.0, math.nan, 3.0])], from_zero=True)
    found = points(drawn["marks"][0][1])
    assert len(found) == 3
    rise = found[0, 1] - found[:, 1]
    assert rise / rise.max() == pytest.approx([0, 1 / 3, 1], abs=0.01)
    assert lines("a", "b", [("other", [math.nan])])["marks"][0][1] == ""
    assert lines("a", "b", [("other", [2.0])])["marks"]


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs chromium and chromedriver")
def test_in_a_browser_it_fits_a_phone_needs_no_network_and_runs_nothing(tmp_path):
    many = [layer(f"{HOSTILE if n == 3 else 'a_long_name_of_a_layer'}_{n}") for n in range(6)]
    page = tmp_path / "page.html"
    html = render_explanation(explanation(*many, shift=(shift(),), trained_steps=1))
    page.write_text(html, "utf-8")
    with browsing(tmp_path / "profile") as browser:
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            for width in (390, 1280):
                browser.size(width)
                browser.open(page)
                assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.run("return window.bad") is None
        assert browser.run("return performance.getEntriesByType('resource').length") == 0
        assert browser.log() == []
        opened = browser.run("return document.querySelectorAll('details[id][open]').length")
        assert opened == 2
    assert not re.search(r"https?://", html)
