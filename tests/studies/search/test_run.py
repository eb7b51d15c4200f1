"""A search that trains: what it runs, that it continues, what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from normcraft.data import load_dataset
from normcraft.report.document import document
from normcraft.report.html import render_html
from normcraft.report.paired import paired_differences
from normcraft.report.table import render_text
from normcraft.studies import Budget, Grid, Options, Progress, Store, Study, read_study, running
from normcraft.studies.plan import Plan
from normcraft.studies.search import clock
from trials import small_model, without_times

SEEDS = 6


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def study_of(digits, limit="200epochs", *, seeds=SEEDS, executor="local", **budget) -> Study:
    return Study(
        small_model(),
        digits,
        grid=Grid(placements=("none", "before_activation"), learning_rates=(0.001, 0.01)),
        budget=Budget(seeds=seeds, epochs=3, steps_per_epoch=3, limit=limit, **budget),
        options=Options(executor=executor),
    )


class Watch(Progress):
    def __init__(self, stop_after=None):
        self.told, self.records, self.stop_after = [], [], stop_after

    def news(self, news):
        self.told.append(news)

    def record(self, record):
        self.records.append(record)
        if len(self.records) == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def searched(digits, tmp_path_factory):
    path, watch = tmp_path_factory.mktemp("search") / "whole.db", Watch()
    with Store(path) as store:
        return study_of(digits).run(store, progress=watch), watch, path


def test_it_confirms_on_the_seeds_of_the_grid_and_chooses_on_others(searched):
    result, _, _ = searched
    search = result.summary.search
    assert search.fresh == tuple(range(SEEDS))
    full = {r.spec.seed for r in result.records if r.spec.epochs == 3}
    short = {r.spec.seed for r in result.records if r.spec.epochs < 3}
    assert short
    assert not short & set(range(SEEDS))
    assert set(range(SEEDS)) < full


def test_its_trials_are_those_of_the_grid(searched, digits):
    result, _, _ = searched
    grid = {spec.hash for spec in study_of(digits, None).specs}
    fresh = {r.spec.hash for r in result.records if r.spec.seed < SEEDS}
    assert fresh <= grid


def test_it_says_what_it_cost_and_how_the_controls_fared(searched):
    result, _, _ = searched
    search = result.summary.search
    assert search.epochs == sum(record.spec.epochs for record in result.records) <= 200
    assert search.grid_epochs == 2 * 2 * SEEDS * 3
    no_change, random = search.controls
    assert (no_change.name, no_change.arm, no_change.pairs) == ("no change", "none", SEEDS)
    assert (random.name, random.pairs) == ("random", SEEDS)
    assert search.ended
    assert result.summary.complete
    assert search.chosen in {"none", "before_activation"}


def test_the_table_the_page_and_the_document_show_how_it_was_searched(searched):
    summary = searched[0].summary
    text = render_text(summary)
    assert "How it was searched" in text
    assert "rung" in text or "confirming" in text
    assert "no change control (none at" in text
    page = render_html(summary, searched[0].arms, searched[0].records)
    assert "How it was searched" in page
    found = document(summary)["search"]
    assert [rung["epochs"] for rung in found["rungs"]] == [1, 3]
    assert {arm["name"] for arm in found["arms"]} == {"none", "before_activation"}
    assert document(replace(summary, search=None))["search"] is None


def test_its_difference_is_the_mean_of_the_pairs_that_the_report_draws(searched):
    summary = searched[0].summary
    (line,) = [arm for arm in summary.arms if arm.name == "before_activation"]
    drawn = paired_differences(summary, searched[0].records)["before_activation"]
    assert set(drawn) == set(range(SEEDS))
    assert sum(drawn.values()) / SEEDS == pytest.approx(line.difference)


def test_it_tells_of_rungs_arms_and_the_verdict_as_it_stands(searched):
    stages = [news.stage for news in searched[1].told]
    assert stages[0] == "rung 1 of 2: trials of 1 epoch"
    assert "confirming: 0 of at most 6 seeds" in stages
    assert stages[-1] == "the search has ended"
    assert searched[1].told[0].verdict.startswith("cannot tell yet")
    assert searched[1].told[-1].verdict == searched[0].summary.verdict.sentence
    spent = [news.spent for news in searched[1].told]
    assert spent == sorted(spent)


def test_a_finished_search_runs_nothing_again(searched, digits):
    result, _, path = searched
    watch = Watch()
    with Store(path) as store:
        again = study_of(digits).run(store, progress=watch)
    assert not watch.records
    assert again.summary.verdict == result.summary.verdict
    assert again.summary.search == result.summary.search


def test_the_report_reads_it_from_the_store_alone(searched):
    result, _, path = searched
    with Store(path, read_only=True) as store:
        summary, _, records = read_study(store)
    assert summary.verdict == result.summary.verdict
    assert summary.search == result.summary.search
    assert len(records) == len(result.records)


def test_an_interrupted_search_goes_on_to_the_same_end(searched, digits, tmp_path):
    with Store(tmp_path / "broken.db") as store:
        with pytest.raises(KeyboardInterrupt):
            study_of(digits).run(store, progress=Watch(stop_after=21))
        running = read_study(store)[0]
        assert not running.complete
        assert running.verdict.sentence.startswith("cannot tell")
        watch = Watch()
        resumed = study_of(digits).run(store, progress=watch)
    whole = searched[0]
    assert len(watch.records) == len(whole.records) - 21
    assert {without_times(r).spec.hash: without_times(r).score for r in resumed.records} == {
        r.spec.hash: r.score for r in whole.records
    }
    assert resumed.summary.verdict == whole.summary.verdict


def test_the_best_model_is_one_of_full_length(searched):
    result = searched[0]
    assert set(result.best_models) == {"none", "before_activation"}


def test_too_small_a_budget_says_what_would_be_needed(digits, tmp_path):
    with Store(tmp_path / "small.db") as store:
        summary = study_of(digits, "12trials").run(store).summary
    assert summary.verdict.outcome == "cannot_tell"
    assert "the budget of 12trials ended before any arm could be confirmed" in (
        summary.verdict.sentence
    )
    assert "trials (" in summary.verdict.sentence
    assert summary.search.epochs <= 36


def test_too_few_seeds_say_so(digits, tmp_path):
    with Store(tmp_path / "few.db") as store:
        summary = study_of(digits, "500epochs", seeds=3).run(store).summary
    assert "3 paired seeds cannot reach significance at 0.05" in summary.verdict.sentence


def test_a_budget_of_time_measures_the_pace_and_keeps_what_it_bought(digits, tmp_path):
    with Store(tmp_path / "time.db") as store:
        study = study_of(digits, "1h")
        first = study.run(store)
        kept = store.about(study.identity)["search"]
        again = study_of(digits, "1h")
        watch = Watch()
        second = again.run(store, progress=watch)
        assert store.about(again.identity)["search"]["design"] == kept["design"]
    assert not kept["provisional"]
    assert not watch.records
    assert first.summary.verdict == second.summary.verdict


def test_the_pace_is_measured_by_trials_alone_and_first_the_first_of_each_arm(
    digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(running, "make_plan", lambda *_: Plan("local", together=4))
    with Store(tmp_path / "pace.db") as store:
        watch = Watch(stop_after=4)
        with pytest.raises(KeyboardInterrupt):
            study_of(digits, "1h").run(store, progress=watch)
    assert len({record.seconds for record in watch.records}) == 4  # those of one program share them
    arms = [record.spec.arm for record in watch.records]
    assert arms[:2] == arms[2:]
    assert set(arms) == {"none", "before_activation"}


def test_when_the_time_is_over_no_trial_begins_and_a_rerun_goes_on(digits, tmp_path, monkeypatch):
    with Store(tmp_path / "over.db") as store:
        monkeypatch.setattr(clock.Clock, "is_over", property(lambda self: len(self._paces) > 1))
        watch = Watch()
        stopped = study_of(digits, "1h").run(store, progress=watch).summary
        assert 0 < len(watch.records) < 8
        assert stopped.verdict.outcome == "cannot_tell"
        monkeypatch.undo()
        assert study_of(digits, "1h").run(store).summary.search.ended


def test_a_search_in_worker_processes_ends_as_well(digits, tmp_path):
    with Store(tmp_path / "processes.db") as store:
        summary = study_of(digits, executor="processes").run(store).summary
    assert summary.search.ended
    assert summary.search.fresh == tuple(range(SEEDS))


def test_a_study_without_a_limit_is_the_grid(digits):
    assert study_of(digits, None).identity != study_of(digits, "64trials").identity
    assert study_of(digits, "64trials").identity != study_of(digits, "65trials").identity
