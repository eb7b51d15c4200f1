import importlib
import inspect
import os
import pickle
import subprocess
import sys

import pytest

from normcraft import recipes
from normcraft.recipes import load_recipe, recipe_names, recipe_sizes, recipes_for


def test_every_recipe_is_an_attribute_by_its_name():
    for name in recipe_names():
        assert getattr(recipes, name) is load_recipe(name)
    assert set(recipe_names()) | {"conv_block", "load_model"} <= set(dir(recipes))


def test_the_attribute_stays_the_function_when_the_module_is_imported():
    module = importlib.reload(sys.modules["normcraft.recipes.digits_cnn"])
    assert recipes.digits_cnn is not module
    importlib.import_module("normcraft.recipes.digits_cnn")
    assert recipes.digits_cnn().name == "digits_cnn"


def test_a_recipe_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(recipes.mlp)) is recipes.mlp


def test_importing_the_recipes_loads_neither_keras_nor_a_backend():
    code = (
        "import sys; from normcraft import recipes\n"
        "assert not {'keras', 'jax', 'tensorflow', 'torch'} & set(sys.modules)\n"
        "assert recipes.load_model('blog_cnn').name == 'blog_cnn'\n"
        "assert recipes.blog_cnn().count_params() == 93322"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_attribute_lists_the_recipes():
    with pytest.raises(
        AttributeError, match="has no recipe 'blog_cn'; there are blog_cnn, bn_first"
    ):
        _ = recipes.blog_cn


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ValueError, match=r"unknown recipe: received 'blog_cn'.*mean 'blog_cnn'"):
        load_recipe("blog_cn")


def test_a_recipe_that_predicts_numbers_is_sized_for_them():
    assert recipe_sizes("tabular_mlp", (13,), None, 2) == {"features": 13, "targets": 2}
    assert recipe_sizes("mlp", (13,), None, 2) == {"inputs": 13}


def test_recipes_are_found_by_what_they_take():
    images = ("blog_cnn", "bn_first", "digits_cnn", "emotion_cnn", "pooled_cnn")
    assert recipes_for((28, 28)) == recipes_for((28, 28, 3)) == images
    assert recipes_for((13,)) == ("mlp", "tabular_mlp")
    assert recipes_for((13,), numbers=True) == ("tabular_mlp",)
    assert recipes_for((28, 28), numbers=True) == recipes_for((3, 4, 5, 6)) == recipes_for(()) == ()
    assert {*recipes_for((13,)), *images} == set(recipe_names())


@pytest.mark.parametrize(
    ("name", "shape", "classes", "expected"),
    [
        ("blog_cnn", (32, 32, 3), 9, {"input_shape": (32, 32, 3), "classes": 9}),
        ("pooled_cnn", (28, 28), None, {"input_shape": (28, 28, 1)}),
        ("tabular_mlp", (13,), 3, {"features": 13, "classes": 3}),
        ("mlp", (13,), 3, {"inputs": 13, "classes": 3}),
        ("mlp", (28, 28), 10, {"classes": 10}),
        ("digits_cnn", (64,), 10, {"classes": 10}),
    ],
)
def test_sizes_follow_the_data_where_the_recipe_can(name, shape, classes, expected):
    assert recipe_sizes(name, shape, classes) == expected
    assert set(expected) <= set(inspect.signature(load_recipe(name)).parameters)
