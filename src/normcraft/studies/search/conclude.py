"""From the records of a search to its verdict, the arms' lines, and how it was searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from normcraft.records import (
    Arm,
    ArmSummary,
    SearchedArm,
    SearchedRung,
    SearchSummary,
    TrialRecord,
    Verdict,
)
from normcraft.studies.about import About
from normcraft.studies.search.cell import Candidate, Cell
from normcraft.studies.search.controls import controls
from normcraft.studies.search.design import SearchDesign
from normcraft.studies.search.follow import SearchState, follow
from normcraft.studies.search.looks import LEVEL
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.standing import Standing
from normcraft.studies.search.words import left_at, not_confirmed, stage_of
from normcraft.studies.summarize import line_of, result_of, summarize
from normcraft.studies.verdict import Metric, decide, judged

__all__ = ["cell_of", "chosen_arm", "conclude_search", "scores_of", "verdict_of"]


def cell_of(record: TrialRecord) -> Cell:
    """The cell of a record's trial.

    Args:
        record: A record.

    Returns:
        The cell.
    """
    spec = record.spec
    return Cell(spec.arm, spec.learning_rate, spec.seed, spec.epochs)


def scores_of(records: Sequence[TrialRecord], *, higher_is_better: bool) -> dict[Cell, float]:
    """The scores that the core of a search works on.

    Args:
        records: Records.
        higher_is_better: Direction of the metric.

    Returns:
        Scores, turned so that higher is better; NaN where a trial failed.
    """
    sign = 1 if higher_is_better else -1
    return {cell_of(record): sign * result_of(record) for record in records}


def conclude_search(
    about: About, arms: Sequence[Arm], records: Sequence[TrialRecord]
) -> tuple[Verdict, tuple[ArmSummary, ...], SearchSummary]:
    """Judges a search, running or ended.

    Args:
        about: What the study is about, the design of the search among it.
        arms: Its arms.
        records: The records of its trials.

    Returns:
        The verdict, a line an arm (the baseline first), and how it was searched.
    """
    assert about.search is not None
    design = SearchDesign.of_document(about.search["design"])
    scores = scores_of(records, higher_is_better=about.higher_is_better)
    state, pairs = follow(design, scores), Pairs(design, scores, len(design.seeds))
    budget, stopped = str(about.search["budget"]), bool(about.search["stopped"])
    verdict = verdict_of(state, pairs, budget, _metric(about), stopped=stopped)
    ordered = sorted(arms, key=lambda arm: arm.name != about.baseline)
    lines = tuple(_line(about, arm, state, pairs, records, ordered[0]) for arm in ordered)
    return verdict, lines, _summary(about, arms, state, pairs, budget, verdict)


def verdict_of(
    state: SearchState, pairs: Pairs, budget: str, metric: Metric, *, stopped: bool = False
) -> Verdict:
    """What a search says.

    Args:
        state: Where it stands.
        pairs: Its scores.
        budget: Its budget, as it was given.
        metric: How differences are worded.
        stopped: Whether its time is over.

    Returns:
        The verdict; "cannot tell yet" before every arm has been looked at.
    """
    design, stage = pairs.design, state.confirmation
    found = {s.candidate.arm: s for s in (stage.standings if stage else ()) if s.found}
    comparisons = [s.found for s in found.values() if s.found]
    if stage is None or not found or len(found) < len(stage.standings):
        sentence = not_confirmed(design, state, budget, stopped=stopped)
        return Verdict(
            sentence, "cannot_tell", None, design.baseline, None, None, None, None,
            pairs.effect(stage.baseline) if stage else design.smallest_effect or 0.005,
        )  # fmt: skip
    rank = {arm: pairs.estimate(one.candidate, stage.baseline) for arm, one in found.items()}
    told = judged(comparisons, design.baseline, rank)[0]
    verdict = decide(
        comparisons,
        baseline=design.baseline,
        pairs=found[told.arm].pairs,
        metric=metric,
        smallest_effect=pairs.effect(stage.baseline),
        level=LEVEL,
        rank=rank,
    )
    if told.interval is None and stage.seeds < len(design.seeds):
        return replace(verdict, sentence=not_confirmed(design, state, budget, stopped=stopped))
    return verdict


def _metric(about: About) -> Metric:
    return Metric(about.metric, about.higher_is_better, about.as_fraction)


def _summary(
    about: About,
    arms: Sequence[Arm],
    state: SearchState,
    pairs: Pairs,
    budget: str,
    verdict: Verdict,
) -> SearchSummary:
    design, stage = pairs.design, state.confirmation
    fresh = (
        seed
        for seed in design.seeds
        if stage and stage.baseline.cell(seed, design.length) in pairs.scores
    )
    return SearchSummary(
        budget=budget,
        stage=_where(about, design, state),
        ended=state.ended or bool(about.search and about.search["stopped"]),
        rungs=tuple(_rungs(state)),
        arms=tuple(_searched(about, arm.name, state, pairs.design) for arm in arms),
        controls=controls(stage, pairs) if stage and stage.standings else (),
        looks=tuple((look.pairs, look.level) for look in stage.looks) if stage else (),
        looked=stage.looked if stage else 0,
        fresh=tuple(fresh) if stage and stage.standings else (),
        epochs=state.spent,
        grid_epochs=design.grid_cost,
        chosen=chosen_arm(state, pairs, verdict),
    )


def _where(about: About, design: SearchDesign, state: SearchState) -> str:
    where = stage_of(design, state)
    if about.search and about.search["stopped"] and not state.ended:
        return f"the time has ended ({where})"
    return where


def _rungs(state: SearchState) -> list[SearchedRung]:
    stage = state.confirmation
    entered = [len(rung.means) for rung in state.rungs[1:]]
    entered.append(1 + len(stage.standings) if stage else 0)
    return [
        SearchedRung(rung.epochs, len(rung.seeds), len(rung.means), kept, rung.complete)
        for rung, kept in zip(state.rungs, entered, strict=True)
    ]


def _searched(about: About, name: str, state: SearchState, design: SearchDesign) -> SearchedArm:
    reached = [rung for rung in state.rungs if any(one.arm == name for one in rung.means)]
    rung = reached[-1] if reached else None
    means = {one: mean for one, mean in (rung.means if rung else {}).items() if one.arm == name}
    known = {one: mean for one, mean in means.items() if mean is not None and isfinite(mean)}
    best = max(known, key=lambda one: known[one], default=None)
    standing = _standing(state, name)
    left = left_at(rung, standing, ended=state.ended, baseline=name == design.baseline)
    gone = rung is None or (rung.complete and (standing is None or standing.left is not None))
    sign = 1 if about.higher_is_better else -1
    return SearchedArm(
        name=name,
        parent=dict(design.variants).get(name),
        learning_rate=best.rate if best else None,
        epochs=rung.epochs if rung else None,
        mean=sign * known[best] if best else None,
        pairs=standing.pairs if standing else 0,
        left=left,
        is_in=not state.ended and (not gone or name == design.baseline),
    )


def _standing(state: SearchState, name: str) -> Standing | None:
    standings = state.confirmation.standings if state.confirmation else ()
    return next((one for one in standings if one.candidate.arm == name), None)


def chosen_arm(state: SearchState, pairs: Pairs, verdict: Verdict) -> str | None:
    """The arm that is handed back.

    Args:
        state: Where the search stands.
        pairs: Its scores.
        verdict: What it says.

    Returns:
        The winner; else the best estimate over all seeds at full length; before those, the best of
        the longest rung that is complete. None before any.
    """
    if verdict.winner is not None:
        return verdict.winner
    stage = state.confirmation
    if stage is not None:
        every = [stage.baseline, *(one.candidate for one in stage.standings)]
        return max(every, key=lambda one: pairs.estimate(one, stage.baseline)).arm
    for rung in reversed(state.rungs):
        known = {one: mean for one, mean in rung.means.items() if mean is not None}
        if rung.complete:
            return max(known, key=lambda one: known[one]).arm
    return None


def _line(
    about: About,
    arm: Arm,
    state: SearchState,
    pairs: Pairs,
    records: Sequence[TrialRecord],
    baseline: Arm,
) -> ArmSummary:
    """The line of an arm: its fresh seeds at its own learning rate, next to the baseline's."""
    own = [record for record in records if record.spec.arm == arm.name]
    line = _bare(arm, own, _searched(about, arm.name, state, pairs.design))
    stage, standing = state.confirmation, _standing(state, arm.name)
    candidate = standing.candidate if standing else stage.baseline if stage else None
    if stage is None or candidate is None or candidate.arm != arm.name:
        return line
    fresh = [
        replace(record, spec=replace(record.spec, learning_rate=0.0))
        for one in {candidate, stage.baseline}
        for record in records
        if _is_fresh(record, one, pairs.design)
    ]
    both = [baseline] if candidate == stage.baseline else [baseline, arm]
    if not fresh:
        return line
    found = summarize(both, fresh, **about.judging)[1][-1]
    return _with_verdict(replace(found, outcomes=line.outcomes), candidate, standing)


def _is_fresh(record: TrialRecord, one: Candidate, design: SearchDesign) -> bool:
    cell = cell_of(record)
    return cell == one.cell(cell.seed, design.length) and cell.seed in design.seeds


def _with_verdict(line: ArmSummary, candidate: Candidate, standing: Standing | None) -> ArmSummary:
    found = standing.found if standing else None
    line = replace(
        line,
        learning_rate=candidate.rate,
        by_learning_rate=((candidate.rate, line.mean),),
        difference_interval=found.interval if found else None,
        p_value=found.p_value if found else None,
        outcome=found.outcome if found else None,
    )
    return replace(line, difference=found.difference) if found else line


def _bare(arm: Arm, own: Sequence[TrialRecord], searched: SearchedArm) -> ArmSummary:
    rate = searched.learning_rate
    none = dict.fromkeys(
        (
            *("mean", "interval", "as_trained_mean", "test_mean", "difference"),
            *("difference_interval", "p_value", "probability_better"),
        )
    )
    return line_of(
        arm,
        own,
        learning_rate=rate if rate is not None else 0.0,
        seeds=0,
        by_learning_rate=(),
        **none,
    )
