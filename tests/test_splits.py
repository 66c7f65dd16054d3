import numpy as np

from skinr.splits import deal_to_pairs


def test_rows_are_dealt_to_one_pair_each_as_far_as_they_go():
    random = np.random.RandomState(0)
    parts = deal_to_pairs(50, 7, random)
    assert [len(part) for part in parts] == [5, 5, 5]
    assert len(set(np.concatenate(parts))) == 15
    few = deal_to_pairs(3, 10, random)
    assert [len(part) for part in few] == [1] * 5
    assert set(np.concatenate(few)) == {0, 1, 2}
