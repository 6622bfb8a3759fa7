"""torch and jax: judged by dtype, held as they were, moved once a flush."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import numpy as np
import pytest

from streamvis import DataLogger, IllegalValue, arrays

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    jax = pytest.importorskip("jax")
    import jax.numpy as jnp

FIELDS = {"i": "int", "f": "float", "b": "bool"}
GOOD = {"i": 1, "f": 1.0, "b": True}


@pytest.fixture
def log(make_logger: Any) -> DataLogger:
    logger = make_logger(flush_every=30)
    logger.ensure_series("s", FIELDS)
    return logger.start()


FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn]
SMALL_INTS = [torch.int8, torch.int16, torch.int32, torch.uint8]


@pytest.mark.parametrize("dtype", [*SMALL_INTS, torch.int64, torch.uint16, torch.uint32], ids=str)
def test_torch_ints_arrive_exactly(log: DataLogger, server: Any, dtype: Any) -> None:
    log.write("s", **{**GOOD, "i": torch.tensor([1, 100, 3]).to(dtype)})
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "i") == [1, 100, 3]


@pytest.mark.parametrize("dtype", [*FLOATS, *SMALL_INTS], ids=str)
def test_torch_floats_and_small_ints_fit_a_float_field(
    log: DataLogger, server: Any, dtype: Any
) -> None:
    log.write("s", **{**GOOD, "f": torch.tensor([0.5, 2.0]).to(dtype)})
    assert log.flush(5)
    assert (
        server.column(log.run_handle, "s", "f")
        == torch.tensor([0.5, 2.0]).to(dtype).double().tolist()
    )


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("i", torch.tensor([1], dtype=torch.uint64), "cast it to int64"),
        ("i", torch.tensor([1.0]), "int(value)"),
        ("i", torch.tensor([True]), "int(value)"),
        ("f", torch.tensor([1]), "int64 may not be exact"),
        ("f", torch.tensor([True]), "float(value)"),
        ("f", torch.tensor([1j]), "complex64"),
        ("f", torch.empty(2, device="meta"), "dense"),
        ("f", torch.eye(2).to_sparse(), "to_dense"),
        ("f", [torch.tensor(1.0), 2.0], "mixes"),
        ("f", [torch.tensor(1.0), torch.tensor([1.0])], "differ"),
        ("b", torch.tensor([1]), "bool(value)"),
        ("i", jnp.array([1.0]), "int(value)"),
        ("f", jnp.array([True]), "float(value)"),
        ("f", jnp.array([1j]), "complex64"),
    ],
)
def test_tensors_that_may_not_fit_are_refused_by_dtype(
    log: DataLogger, name: str, value: Any, advice: str
) -> None:
    with pytest.raises(IllegalValue) as caught:
        log.write("s", **{**GOOD, name: value})
    assert advice in str(caught.value)
    assert repr(name) in str(caught.value)


def test_a_torch_tensor_is_logged_as_it_was_at_the_call(log: DataLogger, server: Any) -> None:
    weight = torch.zeros(2, requires_grad=True)
    log.write("s", **{**GOOD, "f": weight})
    with torch.no_grad():
        weight.add_(7)
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [0.0, 0.0]


def test_without_copy_the_promise_is_the_users(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=30, copy=False)
    log.ensure_series("s", FIELDS)
    tensor, array = torch.zeros(1), np.zeros(1)
    log.write("s", **{**GOOD, "f": tensor})
    log.write("s", **{**GOOD, "f": array})
    tensor.add_(7)
    array += 7
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [7.0, 7.0]


def test_no_autograd_graph_is_kept_alive(log: DataLogger) -> None:
    big = torch.zeros(10, requires_grad=True)
    loss = (big * 2).sum()
    graph = loss.grad_fn
    log.write("s", **{**GOOD, "f": loss})
    held = [each for each in gc.get_objects() if type(each) is arrays.Device]
    assert held
    assert all(each.tensor.grad_fn is None and not each.tensor.requires_grad for each in held)
    assert graph is not None


def test_all_tensors_of_a_flush_are_joined_and_moved_once(
    log: DataLogger, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[int] = []
    honest = torch.Tensor.cpu

    def counting(self: Any) -> Any:
        moves.append(self.numel())
        return honest(self)

    monkeypatch.setattr(torch.Tensor, "cpu", counting)
    for step in range(50):
        log.write("s", i=step, f=torch.tensor([[1.0], [2.0]]), b=torch.ones(3, dtype=torch.bool))
    assert moves == []  # nothing moves at a write
    assert log.flush(5)
    # one move for the floats, one for the bools; the small shapes travel, not the broadcast ones
    assert sorted(moves) == [50 * 2, 50 * 3]
    assert server.column(log.run_handle, "s", "f")[:6] == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert len(server.rows(log.run_handle, "s")) == 300


def test_lists_of_tensors_are_stacked_on_their_device(log: DataLogger, server: Any) -> None:
    log.write("s", **{**GOOD, "f": [torch.tensor(1.0), torch.tensor(2.0)]})
    log.write("s", **{**GOOD, "f": [[torch.tensor(3.0)], [torch.tensor(4.0)]]})
    log.write("s", **{**GOOD, "f": [jnp.array(5.0), jnp.array(6.0)]})
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "uint8", "int8", "int32"])
def test_jax_arrays_arrive_exactly(log: DataLogger, server: Any, dtype: str) -> None:
    log.write("s", **{**GOOD, "f": jnp.array([5, 3, 1], dtype=dtype)})
    log.write("s", **{**GOOD, "f": jnp.array(2, dtype=dtype)})
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [5.0, 3.0, 1.0, 2.0]


def test_jax_scalars_of_many_writes_are_fetched_together(
    log: DataLogger, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    honest = jax.device_get

    def counting(tree: Any) -> Any:
        fetched.append(len(tree))
        return honest(tree)

    monkeypatch.setattr(jax, "device_get", counting)
    values = [jnp.float32(step) for step in range(37)]
    for step, value in enumerate(values):
        log.write("s", i=step, f=value, b=True)
    assert log.flush(5)
    assert fetched == [1]
    assert server.column(log.run_handle, "s", "f") == [float(step) for step in range(37)]


def test_a_traced_jax_value_is_refused(log: DataLogger) -> None:
    def step(x: Any) -> Any:
        log.write("s", **{**GOOD, "f": x})
        return x

    with pytest.raises(IllegalValue, match="jit"):
        jax.jit(step)(1.0)


def test_a_deleted_jax_array_is_refused_and_one_deleted_later_costs_its_own_rows(
    log: DataLogger, server: Any
) -> None:
    gone, later = jnp.array([1.0]), jnp.array([2.0])
    gone.delete()
    with pytest.raises(IllegalValue, match="deleted"):
        log.write("s", **{**GOOD, "f": gone})
    log.write("s", **{**GOOD, "f": later})
    log.write("s", **{**GOOD, "f": jnp.array([3.0])})
    later.delete()
    assert not log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [3.0]
    assert server.gaps(log.run_handle, "s") == [(0, 1, "a tensor could not be moved to the host")]
    assert log.status.declared_lost_rows == 1


def test_mixed_frameworks_broadcast_in_one_call(log: DataLogger, server: Any) -> None:
    log.write("s", i=torch.arange(3), f=jnp.array([[0.5], [1.5]]), b=np.array(True))
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "i") == [0, 1, 2, 0, 1, 2]
    assert server.column(log.run_handle, "s", "f") == [0.5] * 3 + [1.5] * 3


def test_device_memory_counts_in_the_queue(log: DataLogger) -> None:
    before = log.status.queued_bytes
    log.write("s", i=1, f=torch.zeros(100_000), b=True)
    assert log.status.queued_bytes - before >= 400_000


def test_a_write_never_waits_for_a_device(log: DataLogger, server: Any) -> None:
    """Every torch function that is called inside of `write`: none that moves, reads or waits."""
    called: set[str] = set()

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            called.add(getattr(func, "__name__", str(func)))
            return func(*args, **(kwargs or {}))

    values = {
        "i": torch.arange(3, dtype=torch.int32),
        "f": torch.ones(3, 3, requires_grad=True).t()[:, :1],
        "b": torch.tensor(True),
    }
    listed = {**values, "f": [torch.tensor(1.0), torch.tensor(2.0), values["f"][0, 0]]}
    with Spy():
        for _ in range(5):
            log.write("s", **values)
            log.write("s", **listed)
    assert called == {"detach", "clone", "stack", "__get__"}
    assert log.flush(5)
    assert len(server.rows(log.run_handle, "s")) == 5 * (9 + 3)


def test_a_write_never_reads_a_jax_array(
    log: DataLogger, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = jnp.ones(3)
    reads: list[str] = []
    kind = type(value)
    for name in ("__array__", "block_until_ready", "item", "tolist", "__float__"):
        honest = getattr(kind, name)

        def spy(self: Any, *args: Any, name: str = name, honest: Any = honest, **more: Any) -> Any:
            reads.append(name)
            return honest(self, *args, **more)

        monkeypatch.setattr(kind, name, spy)
    log.write("s", **{**GOOD, "f": value})
    assert reads == []
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [1.0] * 3


class ByArray:
    """An array by one protocol alone, as other libraries have them."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._array


class ByDlpack:
    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


@pytest.mark.parametrize("kind", [ByArray, ByDlpack])
def test_whatever_numpy_can_read_is_taken_as_it_is_at_the_call(
    log: DataLogger, server: Any, kind: Any
) -> None:
    array = np.array([0.5, 1.5])
    log.write("s", **{**GOOD, "f": kind(array)})
    array[:] = 7
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [0.5, 1.5]


def test_what_numpy_cannot_read_is_not_moved_behind_ones_back(log: DataLogger) -> None:
    class OnDevice:
        def __array__(self, *_: Any, **__: Any) -> Any:
            raise TypeError("implicit conversion is not allowed")

    with pytest.raises(IllegalValue, match="move it to the host first"):
        log.write("s", **{**GOOD, "f": OnDevice()})
