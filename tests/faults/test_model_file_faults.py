"""Files of networks that are broken, cut off, or hold code: none of it is run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import functional, gap_layers, keras, layers, seeded
from xai_utils import scores, storage, training
from xai_utils.own_images import load_network

IMAGES = np.random.default_rng(7).random((2, 8, 8, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def model() -> Any:
    return seeded(functional(gap_layers()))


def repacked(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The archive with some of its members changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


class Doubled(layers.Layer):  # type: ignore[misc]
    """A class of a user's own, which is not registered with Keras."""

    def call(self, x: Any) -> Any:
        return 2.0 * x


@pytest.mark.fault(
    "Models: files",
    "A `.keras` file that needs a class of your own",
    sees="`ValueError`: … cannot be loaded: Could not locate class 'Doubled'. … If it "
    "needs classes of yours: load it yourself with custom_objects, and hand over the "
    "model instead of its path",
    kept="loaded as the message says it gives the same numbers to the bit",
    guard=(
        "xai_utils/_own_models.py",
        'reason = reason.rpartition("Exception encountered: ")[2]',
        "reason = reason[:20]",
    ),
)
def test_a_file_with_a_class_of_ones_own_is_refused_and_how_to_load_it(tmp_path: Path) -> None:
    model = seeded(functional([Doubled(name="doubled"), *gap_layers()]))
    model.save(tmp_path / "own.keras")
    with pytest.raises(ValueError, match=r"own\.keras cannot be loaded: .*Doubled.*custom_objects"):
        load_network(tmp_path / "own.keras", scale="0-1")
    loaded = keras.models.load_model(
        tmp_path / "own.keras", custom_objects={"Doubled": Doubled}, compile=False
    )  # as the message says
    network = load_network(loaded, scale="0-1")
    assert np.array_equal(scores.logits(network.model, IMAGES), scores.logits(model, IMAGES))


CODE = {  # what stands in the place of the first layer, and would run or read something
    "a program": {
        "module": "subprocess", "class_name": "run", "registered_name": None,
        "config": {"args": ["touch", "RAN"]},
    },
    "a function": {
        "module": "os", "class_name": "function", "registered_name": "function",
        "config": "system",
    },
    "a Lambda": {
        "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
        "config": {
            "name": "lambda", "arguments": {},
            "function": {
                "class_name": "__lambda__",
                "config": {"code": "4wAAAA==", "defaults": None, "closure": None},
            },
        },
    },
}  # fmt: skip


@pytest.mark.fault(
    "Models: files",
    "A `.keras` file whose description names a program, a function of the system, or code",
    sees="`ValueError`: … cannot be loaded: …; or … holds a Lambda layer …",
    kept="nothing of it is run",
    guard=(
        "xai_utils/_own_models.py",
        "    except Exception as error:  # whatever",
        "    except ZeroDivisionError as error:  # whatever",
    ),
)
@pytest.mark.parametrize("code", CODE)
def test_a_file_that_names_code_of_the_system_is_refused(
    code: str, model: Any, tmp_path: Path
) -> None:
    model.save(tmp_path / "sound.keras")
    ran = tmp_path / "ran"

    def changed(name: str, body: bytes) -> bytes:
        if name != "config.json":
            return body
        config = json.loads(body)
        evil = json.loads(json.dumps(CODE[code]).replace("RAN", str(ran)))
        config["config"]["layers"][1] |= evil
        return json.dumps(config).encode()

    path = repacked(tmp_path / "sound.keras", tmp_path / "evil.keras", changed)
    with pytest.raises(ValueError, match=r"evil\.keras (cannot be loaded|holds a Lambda)"):
        load_network(path, scale="0-1")
    assert not ran.exists()


@pytest.mark.fault(
    "Models: files",
    "A file `.h5`, the old format, with a Lambda layer",
    sees="`ValueError`: … holds a Lambda layer, which is code that loading it would run, "
    "so it is refused …",
    kept="no line of the file is run",
    guard=(
        "xai_utils/_own_models.py",
        "safe_mode=True)\n    except",
        "safe_mode=False)\n    except",
    ),
)
def test_a_lambda_in_the_old_format_is_not_run_either(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = str(ran)
    noting = layers.Lambda(lambda x: (open(path, "w").close(), x)[1])
    functional([noting, *gap_layers()]).save(tmp_path / "old.h5")
    ran.unlink()
    with pytest.raises(ValueError, match=r"old\.h5 holds a Lambda layer, .*safe_mode=False"):
        load_network(tmp_path / "old.h5", scale="0-1")
    assert not ran.exists()


@pytest.mark.fault(
    "Models: files",
    "A file `.keras` or `.h5` that ends early, at whatever byte",
    sees="`ValueError`: … cannot be loaded: …",
    kept="the file; no network with some of its weights",
    guard=(
        "xai_utils/_own_models.py",
        "    except Exception as error:  # whatever",
        "    except ZeroDivisionError as error:  # whatever",
    ),
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_file_that_ends_early_is_named(ending: str, model: Any, tmp_path: Path) -> None:
    path, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    model.save(path)
    whole = path.read_bytes()
    for size in {0, 1, 100, *range(0, len(whole), len(whole) // 8), len(whole) - 1} - {len(whole)}:
        cut.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=rf"cut\.{ending} cannot be loaded"):
            load_network(cut, scale="0-1")


@pytest.mark.fault(
    "Models: files",
    "A sound archive `.keras` in which the weights end early",
    sees="`ValueError`: … cannot be loaded: …",
    kept="the file; no network with some of its weights",
    guard=(
        "xai_utils/_own_models.py",
        "    except Exception as error:  # whatever",
        "    except ZeroDivisionError as error:  # whatever",
    ),
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_weights_that_end_early_are_refused(share: float, model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "whole.keras")

    def cut(name: str, body: bytes) -> bytes:
        return body[: int(share * len(body))] if name == "model.weights.h5" else body

    path = repacked(tmp_path / "whole.keras", tmp_path / "cut.keras", cut)
    with pytest.raises(ValueError, match=r"cut\.keras cannot be loaded"):
        load_network(path, scale="0-1")


@pytest.mark.fault(
    "Models: files",
    "A file of the course's own weights that ends early, or is none",
    sees="`DamagedFile`: … is damaged: …; take it from the repository again, or make it "
    "with 'python -m xai_utils train mnist'",
    kept="no network with some of its weights",
    guard=(
        "xai_utils/training.py",
        "    except (ValueError, OSError, LookupError) as error:\n        raise storage",
        "    except ZeroDivisionError as error:\n        raise storage",
    ),
)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_the_course_s_own_weights_that_end_early_are_named(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (training.WEIGHTS / "mnist.weights.h5").read_bytes()
    (tmp_path / "mnist.weights.h5").write_bytes(whole[: int(share * len(whole))])
    monkeypatch.setattr(training, "WEIGHTS", tmp_path)
    with pytest.raises(storage.DamagedFile, match=r"mnist\.weights\.h5 is damaged: .* train mnist"):
        training.load_or_train("mnist")
