"""The local executor runs groups in order."""

from normcraft.executors import local


def test_records_come_as_they_are_made():
    made = []

    def worker(group):
        for item in group:
            made.append(item)
            yield item

    records = local.run(worker, [(1, 2), (3,)])
    assert next(records) == 1
    assert made == [1], "nothing runs ahead"
    assert list(records) == [2, 3]
