import io
import sys
from types import ModuleType

import pytest
import torch

from skinr.progress import progress_bar


@pytest.mark.parametrize("verbose", [False, True])
def test_a_program_without_a_console_has_no_bar(monkeypatch, verbose):
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar(5, verbose=verbose) as progress:
        progress(5, torch.ones(1))


@pytest.mark.parametrize("is_notebook", [False, True])
def test_a_notebook_is_as_good_as_a_terminal(monkeypatch, is_notebook):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    if is_notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    with progress_bar(5, verbose=True) as progress:
        if progress:
            progress(5, torch.ones(1))
    assert ("5/5" in screen.getvalue()) == is_notebook
