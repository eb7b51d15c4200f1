import json
import math
from dataclasses import replace

from normcraft.report import document

# The fields that product.md promises.
TOP = {"verdict", "arms", "metric", "trials", "seconds", "trainer", "executor", "store", "report"}
VERDICT = {"sentence", "outcome", "winner", "baseline", "difference", "interval", "p_value"}
ARM = {
    "name", "placement", "kind", "activation", "batch_size", "learning_rate", "mean", "interval",
    "as_trained_mean", "test_mean", "difference", "probability_better", "seeds", "outcomes",
    "step_milliseconds", "parameters", "foldable", "by_learning_rate",
}  # fmt: skip


def test_the_document_has_every_promised_field(comparison):
    summary, _, _ = comparison(rates=(0.001, 0.01))
    found = json.loads(json.dumps(document(summary), allow_nan=False))
    assert found.keys() >= TOP
    assert found["verdict"].keys() >= VERDICT
    assert all(arm.keys() >= ARM for arm in found["arms"])
    assert found["arms"][0]["outcomes"] == {
        "finished": 16, "diverged": 0, "failed": 0, "stopped": 0,
    }  # fmt: skip


def test_values_are_those_of_the_summary(comparison):
    summary, _, _ = comparison(rates=(0.001, 0.01))
    found, best = document(summary), summary.arms[2]
    assert found["verdict"]["winner"] == "after_activation"
    assert found["arms"][2]["mean"] == best.mean
    assert found["arms"][2]["interval"] == list(best.interval)
    assert found["arms"][2]["difference_interval"] == list(best.difference_interval)
    rates = [{"learning_rate": rate, "mean": mean} for rate, mean in best.by_learning_rate]
    assert found["arms"][2]["by_learning_rate"] == rates


def test_numbers_that_do_not_exist_are_null(comparison):
    summary, _, _ = comparison(seeds=1)
    arm = replace(summary.arms[0], mean=math.nan, step_milliseconds=math.inf, outcomes={})
    found = document(replace(summary, arms=(arm,), store=None, report=None))
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["arms"][0]["mean"] is None
    assert json.loads(text)["arms"][0]["step_milliseconds"] is None
    assert json.loads(text)["arms"][0]["interval"] is None
    assert json.loads(text)["arms"][0]["outcomes"]["failed"] == 0
    assert json.loads(text)["store"] is None
