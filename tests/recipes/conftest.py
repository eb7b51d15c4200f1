import numpy as np
import pytest

# On JAX every new shape of a weight costs a compilation of its initializer: these tests share few.


def first_images(path, count):
    """The first training images of a file of real data, with a channel axis, raw."""
    with np.load(path, allow_pickle=False) as file:
        return file["x_train"][:count, ..., None].astype("float32"), file["y_train"][:count]


@pytest.fixture(scope="session")
def mnist(mnist_file):
    return first_images(mnist_file, 320)


@pytest.fixture(scope="session")
def fer2013(fer2013_file):
    return first_images(fer2013_file, 32)


@pytest.fixture(scope="session")
def digits():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x / 16).astype("float32").reshape(-1, 8, 8, 1), y


@pytest.fixture(scope="session")
def wine():
    """A real table whose columns differ in scale by a factor of thousands."""
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order].astype("float32"), y[order]


@pytest.fixture
def losses():
    """Trains a model with `fit` in the order of the data and gives the loss of every epoch."""

    def train(model, x, y, *, epochs=2, batch_size=32):
        import keras

        keras.utils.set_random_seed(0)
        history = model.fit(x, y, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0)
        return history.history["loss"]

    return train
