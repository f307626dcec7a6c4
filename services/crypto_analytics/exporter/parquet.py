"""PostgreSQL's rows as Parquet, exactly: decimals keep their scale, times are microseconds in UTC."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import Column

# Spark refuses decimals of more digits, and DuckDB takes them for floats. A value that needs more is an error.
_MOST_DIGITS = 38


class NoExactType(TypeError):
    """A column has a type that has no exact counterpart here: floats, and numerics without a precision."""


class TooManyDigits(ValueError):
    """A value has more digits than all readers of the lake can hold."""


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of a query's result.

    Raises:
        NoExactType: see there.
    """
    return pa.schema([pa.field(column.name, _type_of(column)) for column in columns])


def encode(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> bytes:
    """Return ``columns`` of values as one Parquet file.

    Raises:
        TooManyDigits: see there.
    """
    arrays = [_array(field, values) for field, values in zip(schema, columns, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def encode_in_parts(schema: pa.Schema, tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """Yield the parts of one Parquet file of all ``tables``, each a row group; one of them is in memory at a time."""
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """A file to write to; what was written can be taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def take(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _type_of(column: Column) -> pa.DataType:
    convert = _TYPES.get(column.type_display.partition("(")[0])
    if convert is None:
        raise NoExactType(f"{column.name} is {column.type_display}, which has no exact Parquet type here")
    return convert(column)


def _decimal(column: Column) -> pa.DataType:
    precision, scale = column.precision, column.scale
    if precision is None or scale is None:
        raise NoExactType(f"{column.name} is numeric without a precision")
    return pa.decimal128(min(precision, _MOST_DIGITS), scale)


def _array(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, type=field.type)
    except pa.ArrowInvalid as error:
        raise TooManyDigits(f"{field.name}: {error}; the lake's {field.type} cannot hold it exactly") from error


_TYPES: dict[str, Callable[[Column], pa.DataType]] = {
    "text": lambda column: pa.string(),
    "bool": lambda column: pa.bool_(),
    "int4": lambda column: pa.int32(),
    "int8": lambda column: pa.int64(),
    "timestamptz": lambda column: pa.timestamp("us", tz="UTC"),
    "numeric": _decimal,
}
