import pytest
import torch

from qsm_core.errors import ModelError
from qsm_core.models.batching import BatchLimit, is_out_of_memory, run_in_batches


def collect(lengths, size, fits=100):
    batches, reported = [], []

    def work(rows):
        if len(rows) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        batches.append(rows)

    limit = BatchLimit(size)
    run_in_batches(lengths, limit, work, advance=reported.append)
    return batches, reported, limit


def test_rows_of_equal_length_go_together_in_order():
    batches, described, _ = collect([5, 3, 5, 5, 3, 9], 2)
    assert batches == [[0, 2], [3], [1, 4], [5]]
    assert described == [2, 3, 5, 6]


def test_memory_running_out_halves_the_batch_for_good():
    batches, _, limit = collect([1] * 10, 8, fits=3)
    assert [len(batch) for batch in batches] == [2, 2, 2, 2, 2]
    assert sorted(row for batch in batches for row in batch) == list(range(10))
    assert (limit.size, limit.halvings) == (2, 2)


def test_a_single_row_that_does_not_fit_is_an_error():
    with pytest.raises(ModelError, match="a batch of one clip does not fit into memory"):
        collect([1, 1], 2, fits=0)


def test_no_rows_are_no_work():
    assert collect([], 4)[0] == []


def test_the_default_size_suits_the_device():
    assert BatchLimit.choose(None, torch.device("cpu")).size == 32
    assert BatchLimit.choose(None, torch.device("cuda:0")).size == 64
    assert BatchLimit.choose(5, torch.device("cpu")).size == 5


def test_a_real_allocation_that_is_too_large_counts_as_out_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("DefaultCPUAllocator"))
