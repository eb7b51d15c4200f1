"""Statistics over replicas, on two devices made of one processor, in a process of their own."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tolerances import assert_close

BACKEND = keras.backend.backend()
pytestmark = pytest.mark.skipif(BACKEND not in {"jax", "tensorflow"}, reason="not possible there")
SHARED = """
import json, numpy as np, keras
from normcraft.layers import BatchNormalization
x = np.random.default_rng(0).normal([0, 5], [1, 3], (32, 2)).astype("float32")
x[16:] += 10
y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")
def build():
    keras.utils.set_random_seed(0)
    layer = BatchNormalization(momentum=0.5, synchronized=True)
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model
def trained(model):
    model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
    return [w.tolist() for w in model.get_weights()]
"""
JAX = """
devices = keras.distribution.list_devices()
assert len(devices) == 2, devices
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
model = build()
print(json.dumps(trained(model)))
"""
TENSORFLOW = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = build()
print(json.dumps(trained(model)))
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    several = {"jax": JAX, "tensorflow": TENSORFLOW}[BACKEND]
    code = several.partition("with tf")[0] if BACKEND == "tensorflow" else ""
    rest = several.removeprefix(code)
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    found = run(code + SHARED + rest, environment)
    alone = run(SHARED + "print(json.dumps(trained(build())))", dict(os.environ))
    for replicas, one in zip(found, alone, strict=True):
        assert_close(np.array(replicas), np.array(one))


def run(code, environment):
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
