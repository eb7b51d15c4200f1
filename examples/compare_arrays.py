"""Where does normalization help this small network? Run: python compare_arrays.py"""

import keras

import normcraft as nc

digits = nc.load_dataset("digits")
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(32, activation="sigmoid"),
        keras.layers.Dense(32, activation="sigmoid"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
result = nc.compare(
    model,
    digits.x_train,
    digits.y_train,
    placements=["none", "input", "before_activation", "after_activation"],
    learning_rates=[0.001, 0.01],
    seeds=2,
    epochs=2,
)
print(result.verdict)
