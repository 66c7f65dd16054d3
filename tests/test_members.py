from asyncio import CancelledError
from threading import Barrier
from time import sleep

import pytest
import torch

import skinr.members
from skinr.descent import Descent
from skinr.interruption import Interruption
from skinr.jet_rows import JetRows
from skinr.least_squares import LeastSquaresFit
from skinr.members import fit_members
from skinr.network import Architecture, SirenStack
from skinr.passes import evaluate

X = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]


def rows_of(values):
    return JetRows(X, values[None], torch.ones_like(values)[None])


def network(seed):
    draw = [torch.Generator().manual_seed(seed)]
    architecture = Architecture(1, (32, 32), 1)
    return SirenStack.initialize(architecture, [4.0], [4.0], draw, dtype=torch.float64)


def first_fit(rows):
    fit = LeastSquaresFit(network(0), rows)
    Descent(100, Interruption()).run(fit)
    fit.review()
    return fit


def test_a_member_is_a_network_of_its_own():
    rows = rows_of((5 * X).sin())
    first = first_fit(rows)
    (member,) = fit_members([network(1)], [rows], first, Descent(100, Interruption()))
    far = torch.tensor([[[2.0]]], dtype=torch.float64)
    assert member.loss < 1e-4
    assert (evaluate(member.stack, far) - evaluate(first.stack, far)).abs() > 1e-3


def test_a_member_for_which_the_first_is_close_enough_takes_over_its_noise():
    rows = rows_of((5 * X).sin())
    first = first_fit(rows)
    stuck = network(1)
    stuck.parameters.zero_()
    (member,) = fit_members([stuck], [rows], first, Descent(100, Interruption()))
    assert member.n_steps == 0
    assert member.noise_of(len(X)) == pytest.approx(first.noise_of(len(X)))


def test_a_member_that_does_not_find_the_function_goes_on_from_the_first():
    first = first_fit(rows_of((5 * X).sin()))
    own = rows_of((5 * X).sin() + 0.1 * X)
    stuck = network(1)
    stuck.parameters.zero_()
    (member,) = fit_members([stuck], [own], first, Descent(100, Interruption()))
    assert member.loss < 1e-4
    assert torch.equal(member.anchor, first.anchor)


def test_no_member_begins_after_an_interruption():
    rows = rows_of((5 * X).sin())
    first, member = first_fit(rows), network(1)
    before = member.parameters.clone()
    with Interruption(max_time=0.0) as interruption:
        descent = Descent(100, interruption)
        assert fit_members([member], [rows], first, descent) == []
    assert descent.ended_by == "max_time=0.0 seconds"
    assert torch.equal(member.parameters, before)


def test_a_member_that_fails_ends_the_others(monkeypatch):
    rows = rows_of((5 * X).sin())
    first, all_run, ended_by = first_fit(rows), Barrier(2, timeout=20), []

    def run(descent, fit):
        all_run.wait()
        if not fit.stack.parameters.any():
            raise ValueError("bad")
        try:
            while not descent.is_interrupted():
                sleep(0.01)
        except CancelledError as error:
            ended_by.append(str(error))
            raise

    monkeypatch.setattr(Descent, "run", run)
    monkeypatch.setattr(skinr.members, "count_threads", lambda: 2)
    good, bad = network(1), network(2)
    bad.parameters.zero_()
    with Interruption(max_time=10.0) as interruption, pytest.raises(ValueError, match="bad"):
        fit_members([good, bad], [rows, rows], first, Descent(1, interruption))
    assert ended_by == ["Another part of the whole has failed."]
