import torch

from skinr.jet_rows import JetRows


def rows_of(targets):
    coordinates = torch.arange(targets.shape[1], dtype=torch.float64)[:, None]
    return JetRows(coordinates, targets, torch.ones_like(targets))


def test_thinned_rows_are_always_the_same_ones_and_stay_together():
    rows = rows_of(torch.arange(50.0).view(1, 50, 1))
    assert rows.thinned(50) is rows
    few = rows.thinned(20)
    assert len(few.coordinates.unique()) == len(few.coordinates) == 20
    assert torch.equal(few.coordinates.float(), few.targets[0])
    assert torch.equal(few.targets, rows.thinned(20).targets)


def test_parted_rows_are_those_and_the_others():
    rows = rows_of(torch.arange(50.0).view(1, 50, 1))
    few, others = rows.parted(20)
    assert torch.equal(few.targets, rows.thinned(20).targets)
    both = torch.cat([few.coordinates, others.coordinates])
    assert torch.equal(both.sort(dim=0).values, rows.coordinates)


def test_rows_of_which_nothing_is_known_are_left_out():
    rows = rows_of(torch.arange(12.0).view(2, 3, 2))
    assert rows.without_empty() is rows
    rows.root_weight[:, 1] = 0
    rows.root_weight[0, 2] = 0
    assert rows.without_empty().coordinates[:, 0].tolist() == [0, 2]


def test_outputs_are_left_out_where_there_are_too_many_numbers():
    draw = torch.Generator().manual_seed(0)
    targets = torch.randn((1, 20, 6), generator=draw, dtype=torch.float64).sign()
    targets[..., 2:4] *= 1e-3
    rows = rows_of(targets)
    assert rows.with_few_outputs(120) is rows
    known = [
        rows.with_few_outputs(n_numbers).root_weight[0].any(dim=0).nonzero()[:, 0].tolist()
        for n_numbers in (5, 40, 100)
    ]
    assert [len(outputs) for outputs in known] == [1, 2, 5]
    assert not {2, 3} & {*known[0], *known[1]}
    assert {0, 1, 4, 5} < set(known[2])
