"""The bytes of rejects as text that can be edited, and edited text as bytes."""

from __future__ import annotations

from collections.abc import Sequence

from ..schemas.errors import Refused, UsageError
from ..schemas.sources import Csv, Source
from ..schemas.split import Split
from ..transforms.formats.csv_framing import framing_of
from ..transforms.transcode import UTF8, Encoding, encoding_of


class RawTexts:
    """Turns records of a source into text and back.

    Args:
      source: says in which encoding they are; all but CSV is UTF-8.
      inputs: splits of its files; of UTF-16 and UTF-32 a file itself may say in which order bytes stand.
    """

    def __init__(self, source: Source, inputs: Sequence[Split] = ()) -> None:
        self._options = source.files if isinstance(source.files, Csv) else None
        self._splits = {split.file: split for split in inputs}
        self._known: dict[str, Encoding | None] = {}

    def text(self, file: str, raw: bytes) -> str | None:
        """A record as text; None where it is none in its file's encoding."""
        encoding = self._of(file)
        try:
            return raw.decode(encoding.codec) if encoding else None
        except UnicodeDecodeError:
            return None

    def raw(self, file: str, offset: int, text: str) -> bytes:
        """A text as a record of a file.

        Raises:
          UsageError: when the encoding has no such character.
        """
        where, encoding = f"--from: {file} at {offset:,}", self._of(file)
        if encoding is None:
            raise UsageError(f"{where}: the file is gone or changed, and its byte order mark with it; use raw_base64")
        try:
            return text.encode(encoding.codec)
        except UnicodeEncodeError as error:
            sign = text[error.start : error.end]
            raise UsageError(f"{where}: raw holds {sign!a}, which cannot be written in {encoding.codec}") from error

    def _of(self, file: str) -> Encoding | None:
        if file not in self._known:
            self._known[file] = self._found(file)
        return self._known[file]

    def _found(self, file: str) -> Encoding | None:
        if self._options is None:
            return UTF8
        encoding = encoding_of(self._options.encoding)
        if encoding.characters.width == 1:
            return encoding
        try:
            return framing_of(self._splits[file], self._options, 0).encoding if file in self._splits else None
        except (Refused, ValueError):
            return None
