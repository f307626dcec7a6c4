"""Encode rows of PostgreSQL as Parquet without loss: decimals keep their scale, times are microseconds in UTC."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import Column

# Spark rejects decimals with more digits, and DuckDB reads them as floats. A value that needs more is an error.
_MOST_DIGITS = 38


class NoExactType(TypeError):
    """A column's type has no exact Parquet type: a float, or a numeric without a precision."""


class TooManyDigits(ValueError):
    """A value has more digits than every reader of the lake supports."""


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of a query's result.

    Raises:
        NoExactType: a column's type has no exact Parquet type.
    """
    return pa.schema([pa.field(column.name, _type_of(column)) for column in columns])


def encode(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> bytes:
    """Return ``columns`` of values as one Parquet file.

    Raises:
        TooManyDigits: a value has more digits than its column in the lake.
    """
    arrays = [_array(field, values) for field, values in zip(schema, columns, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def encode_in_parts(schema: pa.Schema, tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """Yield the parts of one Parquet file with a row group for each of ``tables``; one is in memory at a time."""
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """A writable file whose content can be taken out while it is written."""

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
        """Return the bytes written since the last call."""
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
