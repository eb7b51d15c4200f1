"""What all tests share: the backend, Hypothesis without deadlines, and real data where it lies."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

# What a run keeps in the user's cache is none of the user's here; its processes share it.
if "NORMCRAFT_TEST_CACHE" not in os.environ:
    os.environ["NORMCRAFT_TEST_CACHE"] = tempfile.mkdtemp(prefix="normcraft-tests-")
os.environ["XDG_CACHE_HOME"] = os.environ["NORMCRAFT_TEST_CACHE"]

import pytest
from hypothesis import HealthCheck, settings

# No deadlines: the machine is shared, and no test is about time.
common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("normcraft", **common)
settings.register_profile("ci", derandomize=True, **common)
settings.load_profile("ci" if os.environ.get("CI") else "normcraft")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--graphs N`, `--kills N`, `--steps N`: how often what is random is tried, and how long."""
    parser.addoption("--graphs", type=int, help="generated graphs; 500 to 1,000 on NumPy")
    parser.addoption("--kills", type=int, default=6, help="times that a sweep is killed")
    parser.addoption("--steps", type=int, default=100, help="steps of fit that are looked at")


@pytest.fixture(scope="session")
def num_graphs(pytestconfig: pytest.Config) -> int:
    """Graphs in bulk where nothing has to be compiled, a sample on the other backends."""
    bulk = os.environ["KERAS_BACKEND"] == "numpy"
    return pytestconfig.getoption("--graphs") or (500 if bulk else 16)


@pytest.fixture(scope="session")
def num_folds(pytestconfig: pytest.Config, num_graphs: int) -> int:
    """Graphs that folding is tried on: it is one edit of them, and twice as many take no longer."""
    return pytestconfig.getoption("--graphs") or 2 * num_graphs


def pytest_configure(config: pytest.Config) -> None:
    """NumPy speaks up where the other backends give infinity without a word."""
    if os.environ["KERAS_BACKEND"] == "numpy":
        config.addinivalue_line("filterwarnings", "ignore::RuntimeWarning")


def pytest_collection_finish() -> None:
    """Fails where Keras took another backend than the one that was asked for."""
    import keras

    assert keras.backend.backend() == os.environ["KERAS_BACKEND"]


# Folders and files whose tests hold on every backend if they hold on one.
ANY_BACKEND = {
    "crashes", "data", "executors", "report", "test_aa_calibration", "test_bad_input",
    "test_design", "test_edit_commands", "test_fuzz", "test_load_model", "test_schemas",
    "test_selection", "test_signflip", "test_store", "test_store_trouble", "test_summarize",
    "test_verdict",
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks them, so that `-m "not any_backend"` leaves them to the default backend.

    What takes hours is left out unless it is named: `-m every_application`.
    """
    for item in items:
        if ANY_BACKEND & {item.path.stem, item.path.parent.name}:
            item.add_marker(pytest.mark.any_backend)
    if "every_application" not in config.option.markexpr:
        costly = [item for item in items if item.get_closest_marker("every_application")]
        items[:] = [item for item in items if item not in costly]
        config.hook.pytest_deselected(items=costly)


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """SIGINT raises `KeyboardInterrupt`, also where tests run in the background of a shell.

    Python loses one that comes in a callback (of the garbage collector, say) and warns: tests press
    again after a while and ignore `PytestUnraisableExceptionWarning`.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data: NORMCRAFT_DATA, else `shared/data` beside the checkout."""
    return Path(os.environ.get("NORMCRAFT_DATA", Path(__file__).parents[2] / "shared" / "data"))


def _real_file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        pytest.skip(f"{name} is neither in ../shared/data nor where NORMCRAFT_DATA points")
    return folder / name


@pytest.fixture(scope="session")
def mnist_file(data_folder: Path) -> Path:
    return _real_file(data_folder, "mnist.npz")


@pytest.fixture(scope="session")
def fer2013_file(data_folder: Path) -> Path:
    return _real_file(data_folder, "fer2013_12k.npz")
