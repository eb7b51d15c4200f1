"""What the reference refuses, and what it says."""

import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.moments import reference

pytestmark = pytest.mark.any_backend

X = np.zeros((6, 5, 4))
RENORM = {"moving_mean": np.zeros(4), "moving_stddev": np.ones(4)}

REFUSED = {
    r"needs a batch and channels: received an array of rank 1, expected rank 2 or more":
        lambda: reference.batch_norm(np.zeros(3)),
    r"no such axis: received axis 3 for shape \(6, 5, 4\), expected an axis from -3 to 2":
        lambda: reference.layer_norm(X, axis=3),
    r"no such axis: received axis -4":
        lambda: reference.inference(X, np.zeros(4), np.ones(4), axis=-4),
    r"gamma does not fit the channels: received shape \(5,\), expected shape \(4,\)":
        lambda: reference.rms_norm(X, np.ones(5)),
    r"beta does not fit the channels: received shape \(\), expected shape \(4,\)":
        lambda: reference.instance_norm(X, None, 0.0),
    r"variance does not fit the channels: received shape \(1,\), expected shape \(4,\)":
        lambda: reference.inference(X, np.zeros(4), np.ones(1)),
    r"moving_stddev does not fit the channels: received shape \(3,\)":
        lambda: reference.batch_renorm(X, **RENORM | {"moving_stddev": np.ones(3)}),
    r"the mask does not fit the input: received shape \(6,\), expected shape \(6, 5\), or 1":
        lambda: reference.batch_norm(X, mask=np.ones(6)),
    r"the mask does not fit the input: received shape \(6, 4\)":
        lambda: reference.batch_norm(X, mask=np.ones((6, 4))),
    r"ghost batch normalization takes axis 0 for the batch":
        lambda: reference.ghost_batch_norm(X, virtual_batch_size=2, axis=0),
    r"group normalization takes axis 0 for the batch":
        lambda: reference.group_norm(X, groups=2, axis=-3),
    r"instance normalization takes axis 0 for the batch":
        lambda: reference.instance_norm(X, axis=0),
    r"a group needs rows: received virtual_batch_size 0 for 6 rows":
        lambda: reference.ghost_batch_norm(X, virtual_batch_size=0),
    r"a group needs rows: received virtual_batch_size 2 for 0 rows":
        lambda: reference.ghost_batch_norm(X[:0], virtual_batch_size=2),
    r"do not divide the channels: received groups 3 for 4 channels, expected a divisor of 4":
        lambda: reference.group_norm(X, groups=3),
    r"do not divide the channels: received groups 0 for 4":
        lambda: reference.group_norm(X, groups=0),
    r"nothing lies between the limits of r and d: received r_min 2.0, r_max 1.0, d_max inf":
        lambda: reference.batch_renorm(X, **RENORM, r_min=2.0, r_max=1.0),
    r"nothing lies between the limits of r and d: received r_min 0.0, r_max inf, d_max -1":
        lambda: reference.batch_renorm(X, **RENORM, d_max=-1),
    r"not a momentum: received 1.0, expected a number from 0 to below 1, or None; PyTorch's":
        lambda: reference.moving_average([1.0], initial=0.0, momentum=1.0),
    r"not a momentum: received -0.1":
        lambda: reference.moving_average([1.0], initial=0.0, momentum=-0.1),
    r"no unbiased variance: received 1 values, expected 2 or more":
        lambda: reference.unbiased([1.0, 1.0], [1, 2]),
    r"the gradient does not fit the output: received shape \(4,\), expected shape \(6, 5, 4\)":
        lambda: reference.batch_norm(X).gradients(np.ones(4)),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused_is_told_in_one_line(message):
    with pytest.raises(InputError, match=message):
        REFUSED[message]()
