"""The makers of made-up comparisons, as fixtures."""

import pytest

from comparisons import make_comparison, make_empty, make_record


@pytest.fixture
def comparison():
    return make_comparison


@pytest.fixture
def empty():
    return make_empty


@pytest.fixture
def record():
    return make_record
