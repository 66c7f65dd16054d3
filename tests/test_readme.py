import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skinr
from skinr import SirenRegressor

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_every_module_has_its_place_on_the_map():
    _, rest = README.split("## Where things are\n")
    table = rest.split("\n## ")[0].split("| --- | --- |")[1]
    modules = {path.stem for path in Path(skinr.__file__).parent.glob("*.py")}
    named = re.findall(r"`(\w+)`", table)
    assert sorted(named) == sorted(modules - {"__init__"})


def test_parameters_that_are_explained_exist():
    _, rest = README.split("## Parameters that matter\n")
    rows = re.findall(r"^\| (`.*?) \|", rest.split("\n## ")[0], flags=re.MULTILINE)
    fit_arguments = {"sample_weight"}
    known = {*skinr.SirenRegressor().get_params(), *fit_arguments}
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named
    assert named <= known


@pytest.fixture
def names_of_a_reader(tmp_path, monkeypatch):
    """What the snippets take for granted, small; and fits of few updates."""
    monkeypatch.setitem(SirenRegressor.__init__.__kwdefaults__, "max_iter", 5)
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 255, (150, 150, 3), np.uint8)).save("24_megapixels.jpg")
    rows = random.uniform(-1, 1, (60, 3)).astype(np.float32)
    np.save("rows.npy", rows)
    X, y = rows[:, :2], rows[:, 2]
    image = Image.fromarray(random.integers(0, 255, (130, 65, 3), np.uint8))
    return {
        **{name: getattr(skinr, name) for name in skinr.__all__},
        "np": np,
        **{"X": X, "y": y, "X_new": X, "y_new": y, "slopes": X, "curvatures": y, "positions": X},
        **{"image": image, "mask": random.random((130, 65)) < 0.7},
        "model": SirenRegressor(random_state=0).fit(X, y),
        "picture": skinr.ImageRegressor().fit(image),
        "pipe": make_pipeline(StandardScaler(), SirenRegressor((8,))),
        "grid": {"sirenregressor__omega_0": [10, 20]},
        "distributions": {"sirenregressor__omega_0": [10, 20]},
        "stream": [(X[:30], y[:30]), (X[30:], y[30:])],
    }


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_snippets_run(snippet, names_of_a_reader):
    exec(compile(snippet, "README.md", "exec"), names_of_a_reader)
