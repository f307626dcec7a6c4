"""Read the values of an object of the raw archive, which :mod:`.archive` writes."""

from collections.abc import Iterator
from io import BytesIO

from isal import igzip

_READ_BYTES = 2**20  # of decompressed text


def values_in(data: bytes) -> Iterator[list[bytes]]:
    """Yield the values of the object ``data`` in lists of some thousand, without decompressing all of it at once.

    Raises:
        EOFError, OSError, ValueError: the object is corrupt.
    """
    remainder = b""
    with igzip.IGzipFile(fileobj=BytesIO(data)) as file:  # type: ignore[no-untyped-call]
        while text := file.read(_READ_BYTES):
            *values, remainder = (remainder + text).split(b"\n")
            if values:
                yield values
    if remainder:
        raise ValueError(f"an archived object ends within a value: {remainder[:40]!r}")
