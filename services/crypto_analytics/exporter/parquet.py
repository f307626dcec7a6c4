"""PostgreSQL's rows as Parquet, exactly: decimals keep precision and scale, times are microseconds in UTC."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import Column

_LARGEST_DECIMAL128 = 38


class NoExactType(TypeError):
    """A column has a type that has no exact counterpart here: floats, and numerics without a precision."""


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of a query's result.

    Raises:
        NoExactType: see there.
    """
    return pa.schema([pa.field(column.name, _type_of(column)) for column in columns])


def encode(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> bytes:
    """Return ``columns`` of values as one Parquet file."""
    arrays = [pa.array(values, type=field.type) for field, values in zip(schema, columns, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def _type_of(column: Column) -> pa.DataType:
    convert = _TYPES.get(column.type_display.partition("(")[0])
    if convert is None:
        raise NoExactType(f"{column.name} is {column.type_display}, which has no exact Parquet type here")
    return convert(column)


def _decimal(column: Column) -> pa.DataType:
    precision, scale = column.precision, column.scale
    if precision is None or scale is None:
        raise NoExactType(f"{column.name} is numeric without a precision")
    return pa.decimal128(precision, scale) if precision <= _LARGEST_DECIMAL128 else pa.decimal256(precision, scale)


_TYPES: dict[str, Callable[[Column], pa.DataType]] = {
    "text": lambda column: pa.string(),
    "bool": lambda column: pa.bool_(),
    "int4": lambda column: pa.int32(),
    "int8": lambda column: pa.int64(),
    "timestamptz": lambda column: pa.timestamp("us", tz="UTC"),
    "numeric": _decimal,
}
