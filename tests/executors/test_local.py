"""The local executor runs groups in order."""

from normcraft.executors import Job, local


def making(made, *, at_once=1):
    def worker(group):
        for first in range(0, len(group), at_once):
            some = group[first : first + at_once]
            made.extend(some)
            yield some

    return lambda on_epoch: worker


def test_records_come_as_they_are_made():
    made = []
    records = local.run(Job(making(made), [(1, 2), (3,)]))
    assert next(records) == 1
    assert made == [1], "nothing runs ahead"
    assert list(records) == [2, 3]


def test_no_trial_begins_after_a_stop():
    made = []
    assert list(local.run(Job(making(made), [(1, 2), (3,)], stopping=lambda: bool(made)))) == [1]
    assert list(local.run(Job(making([]), [(1,)], stopping=lambda: True))) == []


def test_all_that_was_trained_at_once_is_kept_after_a_stop():
    made = []
    worker = making(made, at_once=4)
    stopped = Job(worker, [(1, 2, 3, 4, 5, 6), (7,)], stopping=lambda: bool(made))
    assert list(local.run(stopped)) == [1, 2, 3, 4]


def test_groups_that_records_make_necessary_are_trained():
    further = iter([[(4,)], [(5,), (6,)], []])
    job = Job(making([]), [(1, 2), (3,)], more=lambda: next(further))
    assert list(local.run(job)) == [1, 2, 3, 4, 5, 6]
