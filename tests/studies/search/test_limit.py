"""Budgets as they are written."""

import pytest

from normcraft._core.errors import InputError
from normcraft.studies import Budget
from normcraft.studies.search.limit import Limit


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("10m", 600, "seconds"),
        ("1.5h", 5400, "seconds"),
        ("90s", 90, "seconds"),
        ("64trials", 64, "trials"),
        ("1 trial", 1, "trials"),
        (" 500Epochs ", 500, "epochs"),
    ],
)
def test_a_budget_is_a_time_or_a_number_of_trials_or_epochs(text, amount, unit):
    assert Limit.parse(text) == Limit(amount, unit)


@pytest.mark.parametrize(
    "text", ["", "10", "m", "-5m", "0m", "0trials", "1.5trials", "10 minutes", "9e9h", "1e3epochs"]
)
def test_anything_else_is_refused_with_what_was_expected(text):
    with pytest.raises(InputError, match="bad budget: received .*, expected a time"):
        Budget(limit=text)


def test_trials_are_counted_in_those_of_full_length():
    assert Limit.parse("64trials").epochs(10) == 640
    assert Limit.parse("500epochs").epochs(10) == 500
    assert Limit.parse("10m").epochs(10) is None
