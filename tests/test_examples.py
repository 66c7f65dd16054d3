"""What the examples say to options that they can't do anything with."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def in_their_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    Path("text.png").write_text("this is no picture")


@pytest.mark.parametrize(
    "command",
    [
        "sound.py --seconds 0",
        "sound.py --seconds nan",
        "volume.py --size 11",
        "fit_image.py --size 0",
        "fit_image.py --max-iter 0",
        "edges.py --size -1",
        "inpaint.py --size 0",
        "compression.py --widths 8 0",
        "signed_distance.py --rounds 0",
        "signed_distance.py --points 0",
        "poisson_image.py --size 2",
        "hermite_table.py --states 0",
        "fit_image.py --image text.png",
        "compression.py --image none.png",
        "edges.py --image text.png",
        "inpaint.py --image none.png",
        "enlarge.py --scale 0",
        "enlarge.py --image text.png",
    ],
)
def test_what_is_unusable_is_said_in_a_line(monkeypatch, capsys, command):
    script, *arguments = command.split()
    if script == "enlarge.py":
        pytest.importorskip("skimage")
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    error = capsys.readouterr().err
    assert arguments[0] in error
    assert arguments[-1] in error


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_a_picture_with_a_missing_pixel_is_not_black(missing):
    greys = np.linspace(0, 5, 6, dtype=np.float32).reshape(2, 3)
    greys[0, 0] = missing
    Image.fromarray(greys).save("greys.tiff")
    open_picture = runpy.run_path(str(EXAMPLES / "pictures.py"))["open_picture"]
    picture = np.asarray(open_picture(None, "greys.tiff", "china.jpg"))
    np.testing.assert_array_equal(picture, [[0, 51, 102], [153, 204, 255]])
