"""What is told live of a search: its stage, the arms still in, and the verdict as it stands."""

from __future__ import annotations

from normcraft.studies.progress import News
from normcraft.studies.search.conclude import verdict_of
from normcraft.studies.search.design import SearchDesign
from normcraft.studies.search.follow import SearchState
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.trials import SearchTrials
from normcraft.studies.search.words import stage_of
from normcraft.studies.study import Study
from normcraft.studies.verdict import Metric

__all__ = ["news_of"]


def news_of(study: Study, trials: SearchTrials) -> News:
    """What is new of a search.

    Args:
        study: The study.
        trials: Its trials.

    Returns:
        Where it stands, with the verdict as it would be now.
    """
    state, design, objective = trials.state, trials.design, study.objective
    metric = Metric(objective.metric, objective.higher_is_better, objective.as_fraction)
    pairs = Pairs(design, trials.scores, len(design.seeds))
    verdict = verdict_of(state, pairs, str(study.budget.limit), metric)
    return News(
        stage=stage_of(design, state),
        arms_in=_arms_in(state, design),
        arms=len(study.arms),
        spent=state.spent,
        planned=design.most_cost if trials.budget is not None else design.grid_cost // 3,
        verdict=verdict.sentence,
    )


def _arms_in(state: SearchState, design: SearchDesign) -> tuple[str, ...]:
    stage = state.confirmation
    if stage is not None:
        return (design.baseline, *(one.candidate.arm for one in stage.running))
    rungs = [rung for rung in state.rungs if rung.is_full or rung is state.rungs[0]]
    return tuple(dict.fromkeys(one.arm for one in rungs[-1].means))
