"""Group normalization into a residual network, and out again. Run: python edit_a_model.py"""

import keras

import normcraft as nc

inputs = keras.Input((32, 32, 3))
x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(inputs)
branch = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(x)
branch = keras.layers.Conv2D(16, 3, padding="same", name="second")(branch)
x = keras.layers.ReLU()(keras.layers.Add(name="sum")([x, branch]))
x = keras.layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, keras.layers.Dense(10, name="logits")(x))

result = nc.insert_normalization(model, "before_activation+after_add", kind="group")
for site, kind in result.inserted:
    print(f"inserted {kind} at {site}")
for site, reason in result.skipped:
    print(f"left {site} alone: {reason}")
print("removed again:", ", ".join(nc.remove_normalization(result.model).removed))
