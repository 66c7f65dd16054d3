import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skinr.evidence import HARDLY_LESS, NOISES, LinearModel

SEEDS = st.integers(0, 1000)
NOISE = st.sampled_from([1e-4, 1e-2, 1.0])


def model_of(seed, size=12, rank=20):
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(size, rank, generator=draw, dtype=torch.float64)
    target = torch.randn(size, generator=draw, dtype=torch.float64)
    return LinearModel(features @ features.T / size, target)


def covariance(model, noise):
    return model.gram + noise * torch.eye(len(model.target))


@given(SEEDS, NOISE)
def test_the_evidence_is_that_of_a_gaussian_process(seed, noise):
    model = model_of(seed)
    target, size = model.target, len(model.target)
    scaled = covariance(model, noise) / noise
    variance = (target @ torch.linalg.solve(scaled, target)) / size
    process = torch.distributions.MultivariateNormal(
        torch.zeros(size, dtype=torch.float64), variance * scaled
    )
    per_number = process.log_prob(target).item() / size
    constant = -(1 + np.log(2 * np.pi)) / 2
    assert model.evidence(noise) == pytest.approx(per_number - constant, rel=1e-6)


@given(SEEDS)
def test_the_noise_is_the_most_probable_of_all_or_of_those_uphill(seed):
    model = model_of(seed)
    evidences = [model.evidence(model.scale * noise) for noise in NOISES]
    best, evidence = model.most_probable_noise(None, len(NOISES))
    assert (best, evidence) == (int(np.argmax(evidences)), max(evidences))
    uphill, evidence = model.most_probable_noise(len(NOISES) - 1, len(NOISES))
    assert evidence == evidences[uphill] >= evidences[-1]
    assert evidence == max(evidences[max(0, uphill - 1) : uphill + 2])
    few = model.most_probable_noise(None, 5)[0], model.most_probable_noise(len(NOISES) - 1, 5)[0]
    assert few[0] == int(np.argmax(evidences[:5]))
    assert few[1] < 5


@given(SEEDS)
def test_the_largest_noise_is_hardly_less_probable(seed):
    model = model_of(seed)
    total = np.array([model.evidence(model.scale * noise) for noise in NOISES]) * len(model.target)
    best = int(np.argmax(total))
    largest = model.largest_noise(best, len(NOISES))
    assert (total[best : largest + 1] >= total[best] - HARDLY_LESS - 1e-9).all()
    assert largest + 1 == len(NOISES) or total[largest + 1] < total[best] - HARDLY_LESS + 1e-9
    assert model.largest_noise(best, best + 1) == best


@given(SEEDS, st.sampled_from([1e-3, 0.03, 0.3, 3.0]))
def test_no_noise_is_larger_than_the_most(seed, most):
    model = model_of(seed)
    variances = [model.explain(model.scale * noise).least_objective for noise in NOISES]
    probable, _ = model.most_probable_noise(None, len(NOISES))
    best, evidence = model.most_probable_noise(None, len(NOISES), most)
    assert best == max([k for k in range(probable + 1) if variances[k] <= most], default=0)
    assert evidence == model.evidence(model.scale * NOISES[best])
    largest = model.largest_noise(best, len(NOISES), most)
    assert variances[largest] <= most or largest == best == 0
    assert largest <= model.largest_noise(best, len(NOISES))


@given(SEEDS, NOISE)
def test_the_error_of_unseen_is_that_of_models_without_each(seed, noise):
    model = model_of(seed)
    matrix, errors = covariance(model, noise), []
    for k, target in enumerate(model.target):
        others = [j for j in range(len(model.target)) if j != k]
        weights = torch.linalg.solve(matrix[others][:, others], model.target[others])
        errors.append(target - matrix[k, others] @ weights)
    expected = torch.stack(errors).square().mean().sqrt().item()
    assert model.explain(noise).leave_one_out_error() == pytest.approx(expected, rel=1e-6)


@given(SEEDS, NOISE)
def test_no_weights_have_an_objective_below_the_least(seed, noise):
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(12, 20, generator=draw, dtype=torch.float64)
    target = torch.randn(12, generator=draw, dtype=torch.float64)
    normal = features.T @ features / 12 + noise * torch.eye(20)
    weights = torch.linalg.solve(normal, features.T @ target / 12)
    objective = (target - features @ weights).square().mean() + noise * weights.square().sum()
    model = LinearModel(features @ features.T / 12, target)
    assert model.explain(noise).least_objective == pytest.approx(objective.item(), rel=1e-6)


def test_the_noise_of_outputs_is_what_was_added():
    draw = torch.Generator().manual_seed(0)
    positions = torch.linspace(-1, 1, 600, dtype=torch.float64)
    waves = torch.stack([torch.sin(positions * k) for k in range(1, 6)], dim=1)
    output = torch.arange(600) % 2
    added = torch.tensor([0.1, 0.3], dtype=torch.float64)
    noise = added[output] * torch.randn(600, generator=draw, dtype=torch.float64)
    model = LinearModel(waves @ waves.T, waves.sum(dim=1) + noise)
    found = model.explain(0.05).noise_of_outputs(output, 2)
    torch.testing.assert_close(found, added, rtol=0.1, atol=0)


def test_a_singular_matrix_is_solved_with_as_much_more_noise_as_it_takes():
    model = LinearModel(torch.ones(5, 5, dtype=torch.float64), torch.ones(5, dtype=torch.float64))
    assert model.factor(0.0) is None
    assert model.evidence(0.0) == -np.inf
    assert np.isfinite(model.explain(1e-20).leave_one_out_error())


def test_no_variance_to_explain_is_no_error():
    model = LinearModel(torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    assert model.scale == 1.0
    assert np.isfinite(model.most_probable_noise(None, len(NOISES))[1])
