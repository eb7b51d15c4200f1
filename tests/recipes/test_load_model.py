import contextlib
import io
import random
import sys
import zipfile

import keras
import numpy as np
import pytest

from normcraft._core import memory
from normcraft._core.errors import InputError, MissingFileError
from normcraft.recipes import _keras_sizes as keras_sizes
from normcraft.recipes import load_model

GOOD = """
    import keras
    def build():
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)], name="mine")
"""
CUSTOM_LAYER = """
    import keras
    {decorator}
    class Twice{number}(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2
    def relu(x):
        return x - x
    def thrice{number}(x):
        return x * 3
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Every test works in a folder of its own and leaves no trace in Python or Keras."""
    monkeypatch.chdir(tmp_path)
    modules, path = set(sys.modules), list(sys.path)
    known = dict(keras.saving.get_custom_objects())
    yield tmp_path
    assert sys.path == path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(known)


@pytest.fixture
def write(tmp_path):
    def writer(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        path.write_text("\n".join(line[indent:] for line in lines) + "\n")
        return path

    return writer


def small(name="small"):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="a")], name=name)


def refused(match, source, error=InputError, **keywords):
    with pytest.raises(error, match=match) as caught:
        load_model(source, **keywords)
    assert "\n" not in str(caught.value)
    return caught.value


class TestModelsAtHand:
    def test_a_model_is_returned_as_it_is(self):
        model = small()
        assert load_model(model) is model

    def test_a_function_is_called(self):
        assert load_model(small).name == "small"

    def test_a_recipe_is_built_by_its_name(self):
        assert load_model("emotion_cnn").output_shape == (None, 7)

    @pytest.mark.parametrize("source", [None, 3, [small]])
    def test_anything_else_is_refused(self, source):
        refused(f"this is no model: received {type(source).__name__}, expected a keras", source)

    def test_a_layer_is_no_model(self):
        refused("this is no model: received Dense", keras.layers.Dense(2))

    def test_an_unknown_name_lists_what_there_is_and_the_nearest(self):
        refused(
            r"unknown model: received 'digit_cnn', expected a \.keras file.*package\.module:func"
            r".*blog_cnn, bn_first.*did you mean 'digits_cnn'\?",
            "digit_cnn",
        )

    @pytest.mark.parametrize("name", ["", "a name\n\x1b[31m"])
    def test_names_are_shown_escaped(self, name):
        error = refused("unknown model: received '", name)
        assert "\x1b" not in str(error)


class TestPaths:
    @pytest.mark.parametrize("name", ["no.keras", "folder/no", "no.h5", "no.py", "/no/such"])
    def test_a_missing_file_is_said_to_be_missing(self, name):
        refused(f"no such model file: received '{name}', expected a", name, MissingFileError)

    def test_an_existing_path_wins_over_a_recipes_name(self, tmp_path):
        (tmp_path / "mlp").mkdir()
        refused("'mlp' is not a model.*received a folder.*hides the recipe of that name", "mlp")

    def test_a_path_object_does(self, tmp_path):
        small().save(tmp_path / "m.keras")
        assert load_model(tmp_path / "m.keras").name == "small"

    def test_a_folder_is_refused(self, tmp_path):
        (tmp_path / "x.keras").mkdir()
        refused("'x.keras' is not a model that can be read: received a folder", "x.keras")

    def test_a_saved_model_is_refused_with_the_way_out(self, tmp_path):
        (tmp_path / "saved").mkdir()
        (tmp_path / "saved" / "saved_model.pb").touch()
        refused("received a SavedModel.*load it with the Keras that wrote it", "saved")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("m.h5", "received an HDF5 file.*load it with the Keras that wrote it"),
            ("m.hdf5", "received an HDF5 file"),
            ("m.weights.h5", "received weights without a model.*load_weights into it"),
            ("m.onnx", r"received a '\.onnx' file"),
            ("model", "received a file without a suffix"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path, name, message):
        (tmp_path / name).write_bytes(b"x")
        refused(message, name)

    def test_a_python_file_without_a_function_lists_those_it_has(self, write):
        write("m.py", GOOD + "    def other():\n        pass\n    def _own():\n        pass\n")
        error = refused("received a Python file.*'m.py' and ':build'; it has build, other", "m.py")
        assert "_own" not in str(error)

    def test_a_python_file_that_is_none_is_not_run_to_list_functions(self, write):
        write("m.py", "def broken(:")
        refused("received a Python file.*':function'", "m.py")

    def test_a_dangling_link_is_refused(self, tmp_path):
        (tmp_path / "l.keras").symlink_to("nowhere")
        refused("received neither a file nor a folder", "l.keras")


class TestKerasFiles:
    def test_a_file_comes_back_as_the_same_function_compiled_alike(self, tmp_path):
        model = small()
        model.compile(keras.optimizers.SGD(0.25), "mse")
        model.save("m.keras")
        loaded = load_model("m.keras")
        x = np.ones((2, 2), "float32")
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(x)) for m in (model, loaded)))
        assert float(loaded.optimizer.learning_rate) == 0.25

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "an empty file, expected a file that model.save"),
            (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file.*save it as .keras"),
            (
                random.Random(0).randbytes(5000),
                "bytes that are no archive.*may be damaged or cut short",
            ),
        ],
    )
    def test_bytes_that_are_no_archive_are_refused(self, tmp_path, content, message):
        (tmp_path / "m.keras").write_bytes(content)
        refused(f"'m.keras' is no .keras file: received {message}", "m.keras")

    def test_no_cut_and_no_flipped_byte_ends_in_anything_but_one_line(self, tmp_path):
        small().save("m.keras")
        whole = (tmp_path / "m.keras").read_bytes()
        generator = random.Random(1)
        damaged = [whole[: generator.randrange(len(whole))] for _ in range(8)]
        for _ in range(12):
            content = bytearray(whole)
            content[generator.randrange(len(whole))] ^= 1 + generator.randrange(255)
            damaged.append(bytes(content))
        for content in damaged:
            (tmp_path / "d.keras").write_bytes(content)
            with contextlib.suppress(InputError):  # a flip in a weight does no harm
                load_model("d.keras")

    def test_another_archive_is_refused(self):
        with zipfile.ZipFile("m.keras", "w") as archive:
            archive.writestr("x.npy", b"")
        refused("an archive, but no .keras file: received 1 files without config.json", "m.keras")

    def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_read(self, monkeypatch):
        small().save("m.keras")
        monkeypatch.setattr(memory, "MAX_BYTES", 1000)
        monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("was read"))
        refused(
            r"'m.keras' unpacks to more than is sane: received [\d,]+ bytes, .* at most 1,000",
            "m.keras",
        )

    def test_a_bomb_is_refused(self, tmp_path):
        # A member that claims 1 TiB: its sizes stand at fixed places of the archive's directory.
        small().save("m.keras")
        buffer = io.BytesIO()
        with zipfile.ZipFile("m.keras") as old, zipfile.ZipFile(buffer, "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
            for number in range(300):
                new.writestr(f"assets/{number}", b"")
        content = bytearray(buffer.getvalue())
        start = content.find(b"PK\x01\x02")
        while start >= 0:
            content[start + 24 : start + 28] = (0xF0000000).to_bytes(4, "little")
            start = content.find(b"PK\x01\x02", start + 4)
        (tmp_path / "m.keras").write_bytes(content)
        refused("unpacks to more than is sane", "m.keras")

    def test_a_layer_that_hands_out_terabytes_is_refused(self):
        grown = [keras.Input((4, 4, 1)), keras.layers.UpSampling2D(10**5, name="up")]
        keras.Sequential([*grown, keras.layers.GlobalAveragePooling2D()]).save("m.keras")
        refused(
            "the model in 'm.keras' is too large to run: received 640,000,000,000 bytes a sample "
            "from 'up', expected at most",
            "m.keras",
        )

    def test_a_model_of_many_weights_has_room_for_its_optimizer(self, monkeypatch):
        monkeypatch.setattr(keras_sizes, "SMALL", 0)
        model = small()
        model.compile("adam", "mse")
        model.save("m.keras")
        assert load_model("m.keras").optimizer is not None

    def test_a_file_that_holds_a_part_of_the_weights_is_refused(self, monkeypatch):
        monkeypatch.setattr(keras_sizes, "SMALL", 0)
        monkeypatch.setattr(keras_sizes, "COPIES", 0.5)
        small().save("m.keras")
        refused(
            "'m.keras' describes a model that is larger than its weights: received layers whose "
            "variables take 24 bytes or more, expected at most",
            "m.keras",
        )

    def test_an_unreadable_file_is_refused(self, monkeypatch):
        small().save("m.keras")

        def denied(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", denied)
        refused("'m.keras' cannot be read: received PermissionError.*denied", "m.keras")

    def test_python_code_in_a_file_is_not_run_unasked(self):
        keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]).save("m.keras")
        error = refused("'m.keras' holds Python code.*--unsafe", "m.keras")
        assert isinstance(error.__cause__, ValueError)
        loaded = load_model("m.keras", unsafe=True)
        assert float(keras.ops.sum(loaded(np.ones((1, 2), "float32")))) == 4

    def test_safe_mode_is_on_again_after_an_unsafe_load(self):
        keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]).save("m.keras")
        load_model("m.keras", unsafe=True)
        refused("holds Python code", "m.keras")

    def test_a_model_saved_before_it_was_trained_loads_without_a_warning(self):
        model = small()
        model.compile("adam", "mse")
        model.save("m.keras")
        assert load_model("m.keras").compiled

    @pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
    def test_a_model_that_was_never_built_is_refused(self):
        keras.Sequential([keras.layers.Dense(2)], name="raw").save("m.keras")
        refused("the model in 'm.keras' was never built.*begin it with keras.Input", "m.keras")

    def test_a_future_format_is_one_line(self, monkeypatch):
        small().save("m.keras")

        def fails(*_, **__):
            raise KeyError("new\x1b[31m thing\nand a long dump")

        monkeypatch.setattr(keras.saving, "load_model", fails)
        error = refused("'m.keras' cannot be loaded: received KeyError: .*newer Keras", "m.keras")
        assert "\x1b" not in str(error)


class TestImports:
    @staticmethod
    def saved(write, number, *, decorated, function=False):
        decorator = '@keras.saving.register_keras_serializable("own")' if decorated else ""
        name = f"own_layers{number}"
        write(f"{name}.py", CUSTOM_LAYER.format(decorator=decorator, number=number))
        known = dict(keras.saving.get_custom_objects())
        sys.path.insert(0, ".")
        try:
            module = __import__(name)
        finally:
            sys.path.remove(".")
        layer = getattr(module, f"Twice{number}")()
        if function:
            layer = keras.layers.Activation(getattr(module, f"thrice{number}"))
        keras.Sequential([keras.Input((2,)), layer, keras.layers.ReLU()]).save("m.keras")
        keras.saving.get_custom_objects().clear()
        keras.saving.get_custom_objects().update(known)
        del sys.modules[name]
        return name

    @pytest.mark.parametrize("decorated", [True, False])
    def test_a_custom_layer_needs_its_module(self, write, decorated):
        name = self.saved(write, 1, decorated=decorated)
        refused(r"'m.keras' uses 'Twice1', which Keras does not know.*--import MODULE", "m.keras")
        loaded = load_model("m.keras", imports=[name])
        assert float(keras.ops.sum(loaded(np.ones((1, 2), "float32")))) == 4

    def test_a_custom_function_needs_its_module(self, write):
        name = self.saved(write, 2, decorated=False, function=True)
        refused("'m.keras' uses 'thrice2', which Keras does not know", "m.keras")
        loaded = load_model("m.keras", imports=name)
        assert float(keras.ops.sum(loaded(np.ones((1, 2), "float32")))) == 6

    def test_what_was_imported_loads_again_with_keras_alone(self, write):
        name = self.saved(write, 3, decorated=False)
        load_model("m.keras", imports=[name]).save("again.keras")
        assert keras.saving.load_model("again.keras").built

    def test_a_name_of_keras_is_never_taken_over(self, write):
        name = self.saved(write, 4, decorated=False)
        load_model(small(), imports=[name])
        assert "relu" not in keras.saving.get_custom_objects()
        assert keras.activations.get("relu") is keras.activations.relu

    def test_a_missing_module_is_refused(self):
        refused(
            "there is no module 'no_such_module'; it must be installed or lie in the current",
            "mlp",
            imports=["no_such_module"],
        )

    def test_a_module_that_fails_is_refused_with_its_own_error(self, write):
        write("bad_module.py", "import no_such_dependency")
        refused(
            "module 'bad_module' cannot be imported: received ModuleNotFoundError.*no_such_depend",
            "mlp",
            imports=["bad_module"],
        )

    @pytest.mark.parametrize("name", ["a/b.py", "", "..x", "os; x"])
    def test_what_cannot_be_a_module_is_refused(self, name):
        refused("this is no module's name: received", "mlp", imports=[name])


class TestFunctions:
    def test_a_function_in_a_file_builds_the_model(self, write):
        write("folder/m.py", GOOD)
        assert load_model("folder/m.py:build").name == "mine"

    def test_a_function_in_a_module_of_the_current_folder_builds_the_model(self, write):
        write("own_package/__init__.py", "x = 1")
        write("own_package/models.py", GOOD)
        assert load_model("own_package.models:build").name == "mine"

    def test_a_model_may_stand_in_place_of_the_function(self, write):
        write("m.py", GOOD + "    model = build()\n")
        assert load_model("m.py:model").name == "mine"

    def test_a_file_imports_what_lies_beside_it_also_while_the_function_runs(self, write):
        write("folder/beside_one.py", GOOD)
        write("folder/beside_two.py", "name = 'renamed'")
        write(
            "folder/m.py",
            """
            import beside_one
            def build():
                import beside_two
                model = beside_one.build()
                model.name = beside_two.name
                return model
            """,
        )
        assert load_model("folder/m.py:build").name == "renamed"

    def test_a_file_is_run_as_it_stands_now(self, write):
        write("m.py", GOOD)
        load_model("m.py:build")
        write("m.py", GOOD.replace("mine", "mind"))
        assert load_model("m.py:build").name == "mind"

    def test_a_file_named_like_a_module_hides_nothing(self, write):
        import json

        write("json.py", GOOD)
        assert load_model("json.py:build").name == "mine"
        assert sys.modules["json"] is json

    def test_dataclasses_in_a_file_work(self, write):
        write(
            "m.py",
            """
            from __future__ import annotations
            from dataclasses import dataclass
            import keras
            @dataclass
            class Sizes:
                units: int = 3
            def build():
                return keras.Sequential([keras.Input((2,)), keras.layers.Dense(Sizes().units)])
            """,
        )
        assert load_model("m.py:build").output_shape == (None, 3)

    def test_what_the_code_prints_does_not_reach_stdout(self, write, capsys):
        write("m.py", GOOD.replace("    def", "    print('loading')\n    def"))
        load_model("m.py:build")
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "loading" in captured.err

    def test_a_missing_function_lists_those_there_are(self, write):
        write("m.py", GOOD)
        refused("'m.py' has no function 'biuld': expected one of build; did you mean", "m.py:biuld")
        write("n.py", "x = 1")
        refused("'n.py' has no function 'f': expected a function that returns", "n.py:f")

    @pytest.mark.parametrize("name", ["m.py:", ":build", "m.py:a b", "m.py:a.b", "a:b:"])
    def test_a_name_without_a_function_is_refused(self, name):
        refused("no function is named: received", name)

    def test_a_missing_file_is_said_to_be_missing(self):
        refused("no such Python file: received 'no/m.py'", "no/m.py:build", MissingFileError)

    def test_a_folder_is_no_file(self, tmp_path):
        (tmp_path / "m").mkdir()
        refused("'m' is no Python file: received a folder", "m:build")

    def test_a_missing_module_is_refused(self):
        refused("there is no module 'no_such.module'", "no_such.module:build")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("def build(:", "'m.py' cannot be run: received SyntaxError: .* in line 1"),
            ("import no_such_thing", "received ModuleNotFoundError: .*no_such_thing"),
            ("1 / 0", "received ZeroDivisionError: 'division by zero'"),
            ("raise SystemExit(3)", "received SystemExit: '3'"),
            ("from . import x", "ImportError.*for a file inside a package use package.module:f"),
            ("raise ValueError('a\\x1b[31m\\nb')", r"received ValueError: 'a\\x1b\[31m'"),
        ],
    )
    def test_a_file_that_cannot_be_run_is_refused_with_its_own_error(self, write, text, message):
        write("m.py", text)
        before = set(sys.modules)
        error = refused(message, "m.py:build")
        assert error.__cause__ is not None
        assert not any(name.startswith("normcraft_user") for name in set(sys.modules) - before)

    def test_a_file_that_can_no_longer_be_run_leaves_the_former_one_in_place(self, write):
        write("m.py", GOOD)
        load_model("m.py:build")
        modules = {name for name in sys.modules if name.startswith("normcraft_user")}
        write("m.py", "1 / 0")
        refused("ZeroDivisionError", "m.py:build")
        assert modules <= set(sys.modules)

    def test_a_file_with_a_null_byte_is_refused(self, tmp_path):
        (tmp_path / "m.py").write_bytes(b"x = 1\0")
        refused("'m.py' cannot be run: received (Syntax|Value)Error", "m.py:build")

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("pass", "what 'm.py:f' returned is no model: received None.*`return model`"),
            ("return 1, 2", "is no model: received a tuple, .*return the model alone"),
            ("return [1]", "is no model: received a list, .*return the model alone"),
            ("return keras.layers.Dense(2)", "is no model: received a Dense"),
            ("return {}", "is no model: received a dict, expected a built Sequential or Func"),
            ("return keras.Sequential([keras.layers.Dense(2)])", "was never built.*keras.Input"),
            ("return Own()", r"no graph of layer calls: received a subclassed model \('Own'\)"),
            ("1 / 0", "'m.py:f' failed while it built the model: received ZeroDivisionError"),
            ("raise SystemExit", "failed while it built the model: received SystemExit"),
        ],
    )
    def test_what_is_no_built_model_is_refused(self, write, body, message):
        write(
            "m.py",
            f"""
            import keras
            class Own(keras.Model):
                pass
            def f():
                {body}
            """,
        )
        refused(message, "m.py:f")

    def test_a_function_that_needs_arguments_is_refused(self, write):
        write("m.py", "def f(a, b=1, *c, d, **e):\n    pass")
        error = refused("'m.py:f' needs arguments.*without default: 'a', 'd'.*defaults", "m.py:f")
        assert "'b'" not in str(error)

    def test_a_callable_that_does_not_tell_its_parameters_is_called(self):
        refused("what 'dict' returned is no model: received a dict", dict)

    def test_what_is_no_function_is_refused(self, write):
        write("m.py", "import keras\nx = 3\nlayer = keras.layers.Dense(2)")
        refused("'m.py:x' is no function: received a int", "m.py:x")
        refused("'m.py:layer' is no function: received a Dense", "m.py:layer")

    def test_code_that_clears_the_path_does_not_break_loading(self, write):
        write(
            "m.py", GOOD.replace("    def", "    import sys; sys.path.remove(sys.path[0])\n    def")
        )
        assert load_model("m.py:build").name == "mine"
