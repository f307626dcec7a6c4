"""Read data sets of the lake with Spark and print their rows as JSON, each value as PostgreSQL writes it as text.

Run it in Spark's virtual environment: ``python tests/read_lake_with_spark.py '{"folder": ["column", …]}'``.
"""

import json
import sys
from decimal import Context, Decimal, Inexact

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DecimalType, TimestampType

_EXACT = Context(prec=38, traps=[Inexact])


def main(wanted: dict[str, list[str]]) -> None:
    """Print the rows of each folder of ``wanted``, in the order of its columns."""
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    print(json.dumps({folder: rows(spark.read.parquet(folder).select(*columns)) for folder, columns in wanted.items()}))
    spark.stop()


def rows(table: DataFrame) -> list[list[str | None]]:
    """Return all rows as text; decimals are not cast, because Spark writes small ones in exponential notation."""
    kinds = [field.dataType for field in table.schema]
    texts = table.selectExpr(
        *(
            f"`{name}`" if isinstance(kind, DecimalType) else f"cast(`{name}` as string)"
            for name, kind in zip(table.columns, kinds, strict=True)
        )
    )
    return [[_text(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in texts.collect()]


def _text(value: object, kind: object) -> str | None:
    match value, kind:
        case Decimal(), DecimalType():
            return f"{value.quantize(Decimal(1).scaleb(-kind.scale), context=_EXACT):f}"
        case str(), TimestampType():
            return f"{value}+00"
        case None | str(), _:
            return value
    raise TypeError(f"{value!r} of {kind}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
