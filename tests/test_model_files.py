from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzz import damage_bytes, forge, fuzz_models, pack, small_model, unpack

from skinr import SirenRegressor

FORMAT_1 = Path(__file__).parent / "data" / "model_format_1.skinr"
"""Written by skinr 0.1.0, and never again: every later version reads it."""


def changed(content, change):
    description, arrays = unpack(content)
    change(description, arrays)
    return pack(description, arrays)


def test_a_file_of_the_first_format():
    model = SirenRegressor.load(FORMAT_1)
    assert model.feature_names_in_.tolist() == ["time"]
    assert model.get_params()["hidden_layer_sizes"] == (8, 8)
    assert model.n_iter_ == 20
    assert len(model.validation_scores_) == 4
    table = pd.DataFrame({"time": [0.0, 0.25, 0.5, 0.75, 1.0]})
    expected = [
        [0.060619, 0.740085],
        [0.024593, 0.852819],
        [-0.173545, 0.948709],
        [-0.41915, 0.924343],
        [-0.521159, 0.794289],
    ]
    np.testing.assert_allclose(model.predict(table), expected, atol=1e-5)


HOSTILE = {
    "a later format": (lambda d, a: d.update(format=3), "a newer skinr reads it"),
    "no format": (lambda d, a: d.pop("format"), "it has no 'format'"),
    "an unknown parameter": (lambda d, a: d["parameters"].update(extra=1), "extra"),
    "an impossible parameter": (lambda d, a: d["parameters"].update(max_iter=0), "max_iter"),
    "no layers": (lambda d, a: d["network"].update(hidden_layer_sizes=[]), "positive sizes"),
    "layers of 10**12": (
        lambda d, a: d["network"].update(hidden_layer_sizes=[10**6] * 2),
        "where ArrayInfo",
    ),
    "10**12 members": (lambda d, a: d["network"].update(n_members=10**12), "for 10"),
    "two members": (lambda d, a: d["network"].update(n_members=2), "'members.0.linears"),
    "half a member": (lambda d, a: d["network"].update(n_members=0.5), "positive sizes"),
    "an unknown activation": (
        lambda d, a: d["network"].update(output_activation="__import__('os')"),
        "output_activation",
    ),
    "a frequency of 0": (lambda d, a: d["network"].update(omega_0=0.0), "frequencies"),
    "too few names": (lambda d, a: d.update(feature_names=["a", "b"]), "not 1 texts"),
    "NaN weights": (lambda d, a: a["linears.0.weight"].fill(np.nan), "no numbers"),
    "huge weights": (lambda d, a: a["linears.1.weight"].fill(3e38), "not finite"),
    "a negative scale": (lambda d, a: a["units.X.scale"].fill(-1), "negative"),
    "another array": (lambda d, a: a.update(more=np.zeros(3, np.float32)), "'more'"),
    "an array less": (lambda d, a: a.pop("units.y.center"), "'units.y.center'"),
    "an array of integers": (
        lambda d, a: a.update({"linears.0.bias": np.zeros(8, np.int64)}),
        "'linears.0.bias'",
    ),
    "half of it halved": (
        lambda d, a: a.update({"linears.0.bias": np.zeros(8, np.float16)}),
        "'linears.0.bias'",
    ),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_forged_files(tmp_path, change, message):
    model, _ = small_model()
    path = tmp_path / "model"
    model.save(path)
    path.write_bytes(changed(path.read_bytes(), change))
    with pytest.raises(ValueError, match="is not a model saved by skinr") as caught:
        SirenRegressor.load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_files_are_rejected():
    assert fuzz_models(damage_bytes, 1500)["other finite predictions"] == 0


@pytest.mark.slow
def test_forged_files_are_rejected_or_models():
    assert fuzz_models(forge, 1000)["rejected"] > 500
