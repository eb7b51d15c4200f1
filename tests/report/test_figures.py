import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from normcraft.report import curves_figure
from normcraft.report.curves import curve, trials_of
from normcraft.report.escape import shortened, visible
from normcraft.report.forest import differences_figure
from normcraft.report.numbers import ScoreFormat, amount, score_format
from normcraft.report.paired import paired_differences
from normcraft.report.palette import strokes
from normcraft.report.rates import learning_rates_figure
from normcraft.report.ticks import linear_ticks, log_ticks


def trace_of(figure, arm, mode, quantity="score"):
    (found,) = [
        trace
        for trace in figure.data
        if trace.legendgroup == arm and trace.meta == quantity and trace.mode == mode
    ]
    return found


def line_of(figure, arm, quantity="score"):
    return trace_of(figure, arm, "lines+markers", quantity)


def test_a_diamond_marks_the_mean_that_is_judged(comparison):
    summary, arms, records = comparison()
    mark = trace_of(curves_figure(summary, arms, records), "none", "markers")
    judged = [record.score for record in records if record.spec.arm == "none"]
    np.testing.assert_allclose(mark.y, [100 * np.mean(judged)])
    assert mark.x == (10,)


def test_the_line_is_the_mean_over_seeds_and_the_band_their_range(comparison):
    summary, arms, records = comparison()
    figure = curves_figure(summary, arms, records)
    curves = np.array(
        [[e.validation_score for e in r.curve] for r in records if r.spec.arm == "none"]
    )
    line = line_of(figure, "none")
    np.testing.assert_allclose(line.y, 100 * curves.mean(axis=0))
    band = next(trace for trace in figure.data if trace.legendgroup == "none")
    np.testing.assert_allclose(band.y[:10], 100 * curves.max(axis=0))
    np.testing.assert_allclose(band.y[10:], 100 * curves.min(axis=0)[::-1])


def test_buttons_switch_between_score_and_loss(comparison):
    figure = curves_figure(*comparison())
    score, loss = figure.layout.updatemenus[0].buttons
    assert [trace.visible for trace in figure.data] == list(score.args[0]["visible"])
    assert list(loss.args[0]["visible"]) == [not each for each in score.args[0]["visible"]]
    assert loss.args[1]["yaxis"]["title"]["text"] == "validation loss"


def test_where_the_metric_is_the_loss_there_is_nothing_to_switch(comparison):
    summary, arms, records = comparison()
    records = [
        replace(r, curve=tuple(replace(e, score=None, validation_score=None) for e in r.curve))
        for r in records
    ]
    figure = curves_figure(summary, arms, records)
    assert not figure.layout.updatemenus
    assert {trace.meta for trace in figure.data} == {"loss"}


def test_curves_of_diverged_trials_end_and_the_mean_says_over_how_many(comparison, record):
    summary, _, _ = comparison()
    arm = replace(summary.arms[0], learning_rate=0.05)
    trials = trials_of(arm, [record("none", seed, 0.05) for seed in range(8)])
    points = curve(trials, "score")
    assert [point.seeds for point in points] == [8] * 4 + [6] * 6


def test_values_that_are_no_numbers_are_left_out(record):
    trial = record("none", 0, 0.01)
    ends = tuple(replace(e, validation_loss=math.nan, validation_score=None) for e in trial.curve)
    assert curve([replace(trial, curve=ends)], "loss") == []
    assert curve([replace(trial, curve=ends)], "score") == []


def test_losses_of_very_different_size_get_a_logarithmic_axis(comparison):
    summary, arms, records = comparison()
    assert curves_figure(summary, arms, records, quantity="loss").layout.yaxis.type == "linear"
    first = replace(records[0].curve[0], validation_loss=9e4)
    records[0] = replace(records[0], curve=(first, *records[0].curve[1:]))
    assert curves_figure(summary, arms, records, quantity="loss").layout.yaxis.type == "log"


def test_without_records_the_figure_is_empty(comparison, empty):
    summary, arms, _ = comparison()
    assert not curves_figure(summary, arms, []).data
    assert not curves_figure(empty(), [], []).data


def test_paired_differences_are_those_that_the_verdict_was_reached_from(comparison):
    for rates in ((0.01,), (0.001, 0.01, 0.05)):
        summary, _, records = comparison(rates=rates)
        found = paired_differences(summary, records)
        for arm in summary.arms[1:]:
            values = list(found[arm.name].values())
            assert len(values) == arm.seeds
            assert np.mean(values) == pytest.approx(arm.difference)


def test_a_seed_without_a_result_in_one_arm_counts_in_none(comparison):
    summary, _, records = comparison()
    records[4] = replace(records[4], outcome="failed", score=None)
    found = paired_differences(summary, records)
    assert all(set(values) == set(range(8)) - {records[4].spec.seed} for values in found.values())


def test_where_lower_is_better_a_lower_score_is_a_positive_difference(comparison):
    summary, _, records = comparison()
    turned = paired_differences(replace(summary, higher_is_better=False), records)
    straight = paired_differences(summary, records)
    assert turned["after_activation"][0] == -straight["after_activation"][0]


def test_without_a_complete_seed_there_are_no_differences(comparison, empty):
    summary, _, records = comparison()
    assert paired_differences(summary, records[:1]) == {}
    assert paired_differences(empty(), []) == {}


def test_the_forest_shows_seeds_mean_interval_and_the_practical_zone(comparison):
    summary, _, records = comparison()
    figure = differences_figure(summary, records)
    seeds, mean = figure.data[:2]
    arm = summary.arms[1]
    assert len(seeds.x) == 8
    assert mean.x[0] == pytest.approx(100 * arm.difference)
    low, high = mean.x[0] - mean.error_x.arrayminus[0], mean.x[0] + mean.error_x.array[0]
    assert (low, high) == pytest.approx([100 * bound for bound in arm.difference_interval])
    assert figure.layout.shapes[0].x1 == pytest.approx(0.5)


def test_without_an_interval_the_forest_draws_none(comparison):
    summary, _, records = comparison(seeds=2)
    mean = differences_figure(summary, records).data[1]
    assert mean.error_x.array is None
    assert "()" not in mean.hovertemplate


def test_the_chosen_learning_rate_is_marked(comparison):
    summary, _, _ = comparison(rates=(0.001, 0.01, 0.05))
    figure = learning_rates_figure(summary)
    assert figure.layout.xaxis.type == "log"
    for arm, trace in zip(summary.arms, figure.data, strict=True):
        assert trace.marker.symbol[trace.x.index(arm.learning_rate)] == "diamond"
        assert trace.marker.symbol.count("diamond") == 1


def test_arms_differ_in_color_or_dash_and_the_baseline_is_grey(comparison):
    names = ("none", *(f"arm_{number}" for number in range(20)))
    summary, _, _ = comparison(names=names, seeds=1)
    found = strokes(summary)
    assert len(set(found.values())) == len(names)
    assert found["none"].color == "#7f7f7f"


def test_names_are_no_markup_in_figures(comparison):
    summary, arms, records = comparison(names=("none", "<a href='x'>b</a>"), seeds=2)
    name = "&lt;a href='x'&gt;b&lt;/a&gt;"
    assert name in {trace.name for trace in curves_figure(summary, arms, records).data}
    assert differences_figure(summary, records).layout.annotations[0].text == name


@pytest.mark.parametrize(
    ("value", "text"), [(3.14159, "3.14"), (0.0123, "0.0123"), (1250.4, "1,250"), (0, "0"),
                        (None, ""), (math.inf, "")],
)  # fmt: skip
def test_amounts_have_three_digits(value, text):
    assert amount(value) == text


def test_digits_follow_the_narrowest_interval(comparison):
    summary, _, _ = comparison()
    assert score_format(summary).digits == 1
    narrow = replace(summary.arms[0], interval=(0.95, 0.9502))
    assert score_format(replace(summary, arms=(narrow,))).digits == 2
    assert score_format(replace(summary, as_fraction=False, arms=(narrow,))).digits == 5
    bare = replace(summary.arms[0], interval=None)
    assert score_format(replace(summary, arms=(bare,))).digits == 1


def test_a_difference_that_rounds_to_nothing_has_no_sign():
    form = ScoreFormat(100, 1, " %", " points", "\N{MINUS SIGN}")
    assert form.difference(-0.0001) == "0.0"
    assert form.difference(-0.02) == "\N{MINUS SIGN}2.0"
    assert form.interval((-0.01, 0.02), "+") == "\N{MINUS SIGN}1.0 to +2.0"
    assert form.interval((math.nan, 1.0)) == ""


def test_intervals_that_rounding_made_ask_for_no_digits(comparison):
    summary, _, _ = comparison()
    rounding = (0.1 - 1e-17, 0.1 + 1e-17)
    same = replace(summary.arms[1], interval=(0.1, 0.1), difference_interval=rounding, difference=0)
    assert score_format(replace(summary, arms=(same,))).digits == 1


positive = st.floats(1e-6, 1e6)


@given(low=st.floats(-1e6, 1e6), width=positive, most=st.integers(2, 12))
def test_linear_ticks_are_even_within_and_neither_few_nor_many(low, width, most):
    high = low + width
    assume(width > 1e-6 * abs(low))
    ticks = np.array(linear_ticks(low, high, most))
    assert (most - 1) / 2.5 - 1 <= len(ticks) <= most + 1
    assert ((low - 1e-9 * width <= ticks) & (ticks <= high + 1e-9 * width)).all()
    np.testing.assert_allclose(np.diff(ticks), np.diff(ticks)[:1].repeat(len(ticks) - 1), rtol=1e-6)


@given(low=positive, ratio=st.floats(50, 1e9))
def test_log_ticks_are_within_and_there_are_some(low, ratio):
    ticks = log_ticks(low, ratio * low)
    assert 2 <= len(ticks) <= 14
    assert all(low <= tick <= ratio * low for tick in ticks)


@given(name=st.text(), longest=st.integers(3, 60))
def test_a_shortened_name_is_no_longer_and_keeps_both_ends(name, longest):
    short, whole = shortened(name, longest), visible(name)
    assert len(short) <= longest or short == whole
    assert len(short) <= longest or len(whole) <= longest
    assert whole.startswith(short[: longest // 3])
    assert whole.endswith(short[-(longest // 3) :])
