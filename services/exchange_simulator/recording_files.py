"""Read the lines of a recording: a text file, or the one text file in a zip. All errors become RecordingError."""

import io
import lzma
import shlex
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ZIP_MAGIC = b"PK\x03\x04"
_GZIP_MAGIC = b"\x1f\x8b"
_ENCRYPTED = 1  # bit of a zip member's flags
_TEXTS = (".csv", ".tsv")
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class RecordingError(ValueError):
    """A file is not a recording, or not the expected kind; the message has file, row and reason.

    ``command`` is a shell command that shows the place.
    """

    def __init__(self, text: str, command: str) -> None:
        super().__init__(text)
        self.command = command


@dataclass(frozen=True)
class Source:
    """A recording's file, and the member where the file is a zip."""

    path: Path
    member: str | None = None

    def error(self, reason: str, row: int | None = None) -> RecordingError:
        """Return an error with the file, the member, the row (line number from 1) and the reason."""
        places = [str(self.path)]
        if self.member is not None:
            places.append(self.member)
        if row is not None:
            places.append(f"row {row}")
        return RecordingError(f"{': '.join(places)}: {reason}", self._command(row))

    def _command(self, row: int | None) -> str:
        path = shlex.quote(str(self.path))
        if self.member is None:
            return f"head -n 3 {path}" if row is None else f"sed -n {row}p {path}"
        print_member = f"unzip -p {path} {shlex.quote(self.member)}"
        return f"{print_member} | head -n 3" if row is None else f"{print_member} | sed -n {row}p"


@contextmanager
def open_lines(path: Path) -> Iterator[tuple[Source, Iterator[str]]]:
    """Yield the source and its lines without line ends (LF, CRLF or CR) and without a byte order mark.

    Bytes that are not UTF-8 become lone surrogates, so that the reader can report their row.

    Raises:
        RecordingError: there is no such file, it is damaged, or it is a zip without exactly one .csv or .tsv file.
    """
    source = Source(path)
    try:
        with path.open("rb") as raw:
            magic = raw.read(len(_ZIP_MAGIC))
            raw.seek(0)
            if magic.startswith(_GZIP_MAGIC):
                raise source.error("it is compressed with gzip; unpack it first: gunzip")
            if path.suffix.lower() != ".zip" and magic != _ZIP_MAGIC:
                yield source, _lines(raw)
                return
            with zipfile.ZipFile(raw) as archive:
                member = _member(source, archive)
                source = Source(path, member.filename)
                with _opened(source, archive, member) as text:
                    yield source, _lines(text)
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: no such file", f"ls -l {shlex.quote(str(path.parent))}") from error
    except _DAMAGED as error:
        raise source.error(f"cannot be read: {error}") from error


def _opened(source: Source, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(member)
    except (NotImplementedError, struct.error, ValueError) as error:  # unsupported compression, or a damaged header
        raise source.error(f"cannot be read: {error}") from error


def _member(source: Source, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if _is_recording(info.filename)]
    if len(members) != 1:
        raise source.error(f"a zip must hold one .csv or .tsv file, this one has {len(members)}")
    if members[0].flag_bits & _ENCRYPTED:
        raise source.error("the zip is encrypted; unpack it first")
    return members[0]


def _is_recording(member: str) -> bool:
    """Return whether a zip's member can be the recording; files that macOS adds (``__MACOSX/._name.csv``) cannot."""
    is_of_macos = member.startswith("__MACOSX/") or Path(member).name.startswith("._")
    return not is_of_macos and Path(member).suffix.lower() in _TEXTS


def _lines(raw: IO[bytes]) -> Iterator[str]:
    with io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline=None) as lines:
        for line in lines:
            yield line.removesuffix("\n")
