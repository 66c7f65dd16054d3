import re
from pathlib import Path

import skinr

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


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
