"""Values as `write` takes them: checked, and held as they are at the call.

`snapshot` turns any accepted value into one of three things, each with a `.shape`:

- a numpy array of bools, ints or floats (copied); so does anything that numpy can read,
- `Text`: codes into a tuple of words,
- `Device`: a torch tensor (detached, cloned on its device) or a jax array (as it is).

Nothing here moves a tensor to the host: that is `to_host`, which the flush thread calls once for
all tensors of a flush. torch and jax are looked for in `sys.modules` and never imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .frames import Array, DataType
from .values import (
    device_kind,
    kind_of,
    mismatch,
    plain_scalar,
    problem_of_array,
    problem_of_device,
    problem_of_int,
    problem_of_text,
)

Shape: TypeAlias = tuple[int, ...]
_PAD_LIMIT = 4096  # jax arrays up to this size are joined on the device, in powers of two
ACCEPTED = "a Python scalar, a (nested) list, a numpy array, a torch tensor or a jax array"


class Unfit(Exception):
    """Why a value cannot be logged; `write` adds where."""


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    codes: Array
    words: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        return self.codes.shape

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + sum(map(sys.getsizeof, self.words))


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    tensor: Any
    framework: str  # "torch" or "jax"
    dtype: str
    shape: Shape

    @property
    def nbytes(self) -> int:
        return int(self.tensor.nbytes)


Snapshot: TypeAlias = Array | Text | Device


def snapshot(value: Any, *, copy: bool = True) -> Snapshot:
    """`value` as it is now. Raises Unfit for what no field could take."""
    device = _as_device(value, copy=copy)
    if device is not None:
        return device
    if isinstance(value, np.ndarray):
        return _from_numpy(value, copy=copy)
    if isinstance(value, list | tuple):
        return _from_list(value, copy=copy)
    return _from_scalar(value)


def problem(held: Snapshot, data_type: DataType) -> str | None:
    """Why `held` does not fit a field of `data_type`, or None."""
    if isinstance(held, Device):
        return problem_of_device(held.dtype, data_type)
    if isinstance(held, Text):
        return None if data_type == "text" else mismatch("text", data_type)
    return problem_of_array(held, data_type)


def kind(held: Snapshot) -> str:
    """`int`, `float`, `bool` or `text`."""
    if isinstance(held, Text):
        return "text"
    if isinstance(held, Device):
        return device_kind(held.dtype) or held.dtype
    return {"b": "bool", "i": "int", "u": "int", "f": "float"}[held.dtype.kind]


def _from_scalar(value: Any) -> Snapshot:
    value = plain_scalar(value)
    if value is None:
        raise Unfit("got None; a row has a value for every field, so leave the row out")
    if kind_of(type(value)) is None:
        array = _read_by_numpy(value)
        if array is not None:
            return _from_numpy(array, copy=True)
        raise Unfit(f"got {type(value).__module__}.{type(value).__qualname__}; pass {ACCEPTED}")
    if isinstance(value, np.generic) and not isinstance(value, np.str_):
        return np.asarray(value)
    return _from_flat([value], ())


def _read_by_numpy(value: Any) -> Array | None:
    """Whatever offers itself as an array (pandas, xarray, another framework); None for the rest.

    A device that numpy cannot read is not moved off behind the user's back.
    """
    try:
        if hasattr(value, "__array__") and not isinstance(value, np.generic):
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
    except Exception as error:  # noqa: BLE001 -- another library's, whatever it raises
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        raise Unfit(f"numpy cannot read this {name} ({error}); move it to the host first") from None
    return None


def _from_numpy(value: Array, *, copy: bool) -> Array | Text:
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise Unfit("the array has masked values; a row has a value for every field")
        value = value.data
    if value.dtype.kind in "UT":
        return _from_flat(value.reshape(-1).tolist(), value.shape)
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise Unfit(f"arrays of {value.dtype} cannot be logged; {_array_advice(value)}")
    native = value.dtype.newbyteorder("=")
    return np.array(value, dtype=native, order="C", copy=copy or None, subok=False)


def _array_advice(value: Array) -> str:
    if value.dtype.kind == "O":
        return "give it a dtype: int64, float64, bool or str"
    return "cast it, for example with .astype('float64')"


def _from_list(value: Sequence[Any], *, copy: bool) -> Snapshot:
    tensors = _stacked(value)
    if tensors is not None:
        held = _as_device(tensors, copy=False)
        if held is not None:
            return held
    flat: list[Any] = []
    shape = _flatten(value, flat)
    return _from_flat(flat, shape)


def _flatten(value: Any, flat: list[Any]) -> Shape:
    """Append the leaves row-major and answer the shape; a ragged list is refused."""
    if isinstance(value, np.ndarray):
        held = _from_numpy(value, copy=False)
        if isinstance(held, Text):
            flat.extend(held.words[code] for code in held.codes.reshape(-1).tolist())
        else:
            flat.extend(held.reshape(-1).tolist())
        return tuple(value.shape)
    if not isinstance(value, list | tuple):
        flat.append(value.item() if isinstance(value, np.generic) else plain_scalar(value))
        return ()
    if not any(isinstance(item, list | tuple | np.ndarray | np.generic) for item in value):
        flat.extend(value if _all_plain(value) else map(plain_scalar, value))
        return (len(value),)
    shapes = [_flatten(item, flat) for item in value]
    if any(shape != shapes[0] for shape in shapes):
        raise Unfit("the list is ragged; all its parts must have one shape")
    return (len(value), *shapes[0])


def _all_plain(value: Sequence[Any]) -> bool:
    return {int, float, bool, str}.issuperset(map(type, value))


def _from_flat(flat: list[Any], shape: Shape) -> Array | Text:
    """Python scalars of one kind (ints among floats are allowed) as an array."""
    kinds = {kind_of(each) or each.__qualname__ for each in set(map(type, flat))}
    if kinds == {"text"}:
        return _from_texts(flat, shape)
    if kinds <= {"int", "float"}:
        return _from_numbers(flat, shape, kinds)
    if kinds == {"bool"}:
        return np.array(flat, dtype=np.bool_).reshape(shape)
    if "NoneType" in kinds:
        raise Unfit("got None; a row has a value for every field, so leave the row out")
    names = ", ".join(sorted(kinds))
    raise Unfit(f"the list holds {names}; pass values of one type (int, float, bool or str)")


def _from_numbers(flat: list[Any], shape: Shape, kinds: set[str]) -> Array:
    ints = [value for value in flat if type(value) is int] if "float" in kinds else flat
    extremes = (min(ints), max(ints)) if ints else ()
    for value in extremes:
        found = problem_of_int(value)
        if "float" in kinds and abs(value) > 1 << 53:
            found = f"{value} is beyond 2^53 and not exact among floats; pass floats alone"
        if found:
            raise Unfit(found)
    dtype = np.int64 if kinds == {"int"} else np.float64
    return np.array(flat, dtype=dtype).reshape(shape)


def _from_texts(flat: list[str], shape: Shape) -> Text:
    index: dict[str, int] = {}
    codes = [index.setdefault(value, len(index)) for value in flat]
    for word in index:
        found = problem_of_text(word)
        if found:
            raise Unfit(found)
    return Text(np.array(codes, dtype=np.uint32).reshape(shape), tuple(map(str, index)))


def _framework(value: Any) -> str | None:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, getattr(torch, "Tensor", ())):
        return "torch"
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, getattr(jax, "Array", ())):
        return "jax"
    return None


def _as_device(value: Any, *, copy: bool) -> Device | None:
    framework = _framework(value)
    if framework == "torch":
        return _as_torch(value, copy=copy)
    return _as_jax(value) if framework == "jax" else None


def _as_torch(value: Any, *, copy: bool) -> Device:
    dtype = str(value.dtype).removeprefix("torch.")
    if device_kind(dtype) is None:
        raise Unfit(f"tensors of {dtype} cannot be logged; cast it to int64, float32 or bool")
    if value.layout is not sys.modules["torch"].strided or value.device.type == "meta":
        raise Unfit("only dense tensors with data can be logged; pass .to_dense()")
    held = value.detach()
    return Device(held.clone() if copy else held, "torch", dtype, tuple(value.shape))


def _as_jax(value: Any) -> Device:
    if isinstance(value, sys.modules["jax"].core.Tracer):
        raise Unfit("got a traced value inside jit; return it, and log it outside")
    dtype = str(value.dtype)
    if device_kind(dtype) is None:
        raise Unfit(f"arrays of {dtype} cannot be logged; cast it to int32, float32 or bool")
    if value.is_deleted():
        raise Unfit("the array was deleted (donated?); log it before, or pass a copy")
    if not value.is_fully_addressable:
        raise Unfit("the array has shards on other hosts; gather it first")
    return Device(value, "jax", dtype, tuple(value.shape))


def _stacked(value: Sequence[Any]) -> Any:
    """A (nested) list of tensors stacked on their device; None when it is no such list."""
    items = [_stacked(item) if isinstance(item, list | tuple) else item for item in value]
    frameworks = {_framework(item) for item in items}
    if not items or frameworks == {None}:
        return None
    framework = frameworks.pop()
    if frameworks or framework is None:
        raise Unfit("the list mixes tensors with other values; make it one tensor")
    if len({(tuple(item.shape), item.dtype) for item in items}) > 1:
        raise Unfit("the list's tensors differ in shape or dtype; make it one tensor")
    if framework == "torch":
        return sys.modules["torch"].stack([item.detach() for item in items])
    return sys.modules["jax.numpy"].stack(items)


def to_host(tensors: Iterable[Device]) -> dict[int, Array]:
    """id of each `Device` -> its values as numpy, in the tensor's shape.

    Tensors of one framework, device and dtype are joined on the device and moved at once.
    """
    groups: dict[tuple[str, str, str], list[Device]] = {}
    for each in tensors:
        where = str(each.tensor.device if each.framework == "torch" else each.tensor.sharding)
        groups.setdefault((each.framework, where, each.dtype), []).append(each)
    moved: dict[int, Array] = {}
    for (framework, _, _), group in groups.items():
        move = _torch_to_host if framework == "torch" else _jax_to_host
        moved.update(zip(map(id, group), move(group), strict=True))
    return moved


def _split(flat: Array, shapes: Iterable[Shape]) -> list[Array]:
    pieces, position = [], 0
    for shape in shapes:
        size = int(np.prod(shape, dtype=np.int64))
        pieces.append(flat[position : position + size].reshape(shape))
        position += size
    return pieces


def _torch_to_host(group: Sequence[Device]) -> list[Array]:
    torch = sys.modules["torch"]
    flat = [each.tensor.reshape(-1) for each in group]
    if group[0].dtype.startswith("float8_"):
        flat = [each.to(torch.float32) for each in flat]
    joined = torch.cat(flat)
    if joined.dtype in (torch.bfloat16, torch.float16):
        joined = joined.to(torch.float32)
    return _split(joined.cpu().numpy(), (each.shape for each in group))


def _jax_to_host(group: Sequence[Device]) -> list[Array]:
    jax = sys.modules["jax"]
    joined: list[tuple[list[int], Any]] = []
    by_shape: dict[Shape, list[int]] = {}
    for place, each in enumerate(group):
        size = int(np.prod(each.shape, dtype=np.int64))
        if 0 < size <= _PAD_LIMIT:
            by_shape.setdefault(each.shape, []).append(place)
        else:
            joined.append(([place], each.tensor))
    joined += [(places, _stack_padded(group, places)) for places in by_shape.values()]
    fetched = jax.device_get([array for _, array in joined])
    return _unstack(group, [places for places, _ in joined], fetched)


def _stack_padded(group: Sequence[Device], places: Sequence[int]) -> Any:
    """Stacked up to a power of two, so that jax compiles a handful of programs, not one a flush."""
    tensors = [group[place].tensor for place in places]
    if len(tensors) == 1:
        return tensors[0]
    wanted = 1 << (len(tensors) - 1).bit_length()
    return sys.modules["jax.numpy"].stack(tensors + tensors[-1:] * (wanted - len(tensors)))


def _unstack(
    group: Sequence[Device], places: Sequence[Sequence[int]], fetched: Sequence[Any]
) -> list[Array]:
    pieces: dict[int, Array] = {}
    for where, array in zip(places, fetched, strict=True):
        values = _plain_dtype(np.asarray(array))
        rows = [values] if len(where) == 1 else values
        for place, value in zip(where, rows, strict=False):
            pieces[place] = value
    return [pieces[place].reshape(group[place].shape) for place in range(len(group))]


def _plain_dtype(values: Array) -> Array:
    """ml_dtypes' bfloat16 and float8 have no numpy kind of their own: widen them, exactly."""
    return values if values.dtype.kind in "biuf" else values.astype(np.float32)
