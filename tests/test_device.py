import os

import pytest
import torch

from skinr.device import resolve_device


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_preferred_device(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto").type == expected


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "meta", "cpu:x", ""])
def test_what_is_not_here_is_a_clear_error(name):
    with pytest.raises(ValueError, match=r"device=.*accepted here are 'auto' and"):
        resolve_device(name)


def test_a_forked_process_does_not_wait_for_threads_that_it_has_not():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.rand(1_000_000).sin()
    child = os.fork()
    if child == 0:
        torch.rand(1_000_000).sin()
        os._exit(torch.get_num_threads())
    torch.set_num_threads(n_threads)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
