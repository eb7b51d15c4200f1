"""From arms and records to the summary: the verdict and everything that stands beside it."""

from __future__ import annotations

from collections.abc import Sequence

from normcraft.records import Arm, ArmSummary, Summary, TrialRecord, TrialSpec, Verdict
from normcraft.studies.about import About
from normcraft.studies.search.conclude import conclude_search
from normcraft.studies.store import Store
from normcraft.studies.summarize import summarize

__all__ = ["About", "conclude", "read_study"]


def conclude(
    about: About,
    arms: Sequence[Arm],
    specs: Sequence[TrialSpec],
    records: Sequence[TrialRecord],
    *,
    store: str | None,
    report: str | None = None,
) -> Summary:
    """Judges the records of a study, finished, running or not begun.

    Args:
        about: What the study is about.
        arms: Its arms.
        specs: All its trials.
        records: The records that exist.
        store: Path of the store, for the summary.
        report: Path of the report, for the summary.

    Returns:
        The summary.
    """
    search = None
    if about.search is None:
        verdict, lines = _judged(about, arms, records)
    else:
        verdict, lines, search = conclude_search(about, arms, records)
    return Summary(
        verdict=verdict,
        arms=lines,
        metric=about.metric,
        higher_is_better=about.higher_is_better,
        as_fraction=about.as_fraction,
        trials=len(records),
        seconds=sum(record.seconds for record in records),
        trainer=about.trainer,
        executor=about.executor,
        store=store,
        report=report,
        model=about.model,
        data=about.data,
        notes=tuple(about.notes),
        command=about.command,
        planned=len(specs),
        search=search,
    )


def _judged(
    about: About, arms: Sequence[Arm], records: Sequence[TrialRecord]
) -> tuple[Verdict, tuple[ArmSummary, ...]]:
    if not records:
        nothing = Verdict(
            "no trial has ended yet", "cannot_tell", None, about.baseline, None, None, None
        )
        return nothing, ()
    return summarize(arms, records, **about.judging)


def read_study(
    store: Store, *, report: str | None = None
) -> tuple[Summary, tuple[Arm, ...], tuple[TrialRecord, ...]]:
    """The latest study of a store, judged as far as it has come.

    Args:
        store: An open store.
        report: Path of the report, for the summary.

    Returns:
        Its summary, arms and records.
    """
    arms, specs, fields = store.latest_study()
    records = tuple(store.records(specs).values())
    about = About(**{**fields, "notes": tuple(fields["notes"])})
    return (
        conclude(about, arms, specs, records, store=str(store.path), report=report),
        arms,
        records,
    )
