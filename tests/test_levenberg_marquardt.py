import pytest
import torch
from hypothesis import event, given
from test_jacobian import dense_jacobian, problems

from skinr.evidence import NOISES
from skinr.jacobian import Observations
from skinr.levenberg_marquardt import LevenbergMarquardt

pytestmark = pytest.mark.slow


def steps_of(stack, rows, anchor=None):
    """Return steps under the noise that makes the targets most probable."""
    steps = LevenbergMarquardt(stack, Observations(rows), anchor)
    index, _ = steps.model.most_probable_noise(None, len(NOISES))
    steps.noise = NOISES[index] * steps.model.scale
    return steps


@given(problems())
def test_a_step_is_that_of_the_dense_jacobian(problem):
    stack, rows = problem
    start = stack.parameters.clone()
    steps = steps_of(stack, rows, anchor=start - 0.01 * stack.frequencies)
    jacobian = dense_jacobian(stack, rows)
    size = len(jacobian)
    residual, noise, damping = steps.at.residual, steps.noise, steps._damping
    normal = jacobian.T @ jacobian / size
    normal.diagonal().add_(noise + damping)
    direction = torch.linalg.solve(normal, jacobian.T @ residual / size - noise * 0.01)
    step, expected_residual = steps._propose(steps.model.factor(noise + damping))
    torch.testing.assert_close(step, direction * stack.frequencies, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(
        expected_residual, residual - jacobian @ direction, rtol=1e-6, atol=1e-9
    )


@given(problems())
def test_a_correction_makes_up_for_what_the_linearised_model_has_missed(problem):
    stack, rows = problem
    steps = steps_of(stack, rows)
    start, shift = steps.at.parameters, steps.noise + steps._damping
    factor = steps.model.factor(shift)
    step, expected_residual = steps._propose(factor)
    trial, gain = steps._try(factor)
    jacobian = dense_jacobian(stack, rows)
    normal = jacobian.T @ jacobian / len(jacobian)
    normal.diagonal().add_(shift)
    missed = steps._evaluate(start + step).residual - expected_residual
    direction = torch.linalg.solve(normal, jacobian.T @ missed / len(jacobian))
    corrected = start + step + direction * stack.frequencies
    is_corrected = not torch.equal(trial.parameters, start + step)
    event(f"corrected: {is_corrected}")
    if is_corrected:
        torch.testing.assert_close(trial.parameters, corrected, rtol=1e-5, atol=1e-8)
        assert steps._objective(trial) < steps._objective(steps._evaluate(start + step))
    else:
        is_long = direction.norm() > 0.37 * (step / stack.frequencies).norm()
        least = (1 - 1e-6) * steps._objective(trial)
        is_worse = steps._objective(steps._evaluate(corrected)) >= least
        assert gain > 0.74 or is_long or is_worse


@given(problems())
def test_no_step_raises_the_objective(problem):
    steps = steps_of(*problem)
    before = steps.objective
    for _ in range(4):
        has_moved = steps.move()
        assert steps.objective < before if has_moved else steps.objective == before
        before = steps.objective
