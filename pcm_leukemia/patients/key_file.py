"""The file of a hospital that leads from pseudonyms back to patients: a secret key, and a table.

::

    # Secret: ...
    # version: 1
    # key: 64 hexadecimal digits
    # patients: the number of rows below
    patient,pseudonym
    4711,P-7K3M9QX4TZ

A pseudonym is "P-" and 50 bits of HMAC-SHA256(key, id) (RFC 2104) in Crockford's base 32, which has no I, L, O and U. So it
depends on the key and the id alone: not on the order of imports, nor on the computer. Reading computes every pseudonym again,
so a file that was edited, or saved by a program that changes ids, is refused. Among 100,000 patients two have the same
pseudonym with a probability of 1 in 200,000; then the second is refused.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import os
import re
import secrets
import stat
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, ImpossibleValue, counted
from pcm_leukemia.files import check_file, delimiter_of, new_file
from pcm_leukemia.schema import PatientId

__all__ = ["KeyFile", "canonical", "is_pseudonym"]

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: https://www.crockford.com/base32.html."""
_LENGTH = 10
_PSEUDONYM = re.compile(rf"P-[{_LETTERS}]{{{_LENGTH}}}")
_VERSION = "1"
_PREAMBLE = "Secret: this file leads from pseudonyms back to patients. Keep it and a backup in the hospital; never pass it on."
_RESTORE = "restore a backup"


def is_pseudonym(text: str) -> bool:
    """Whether a text has the form of a pseudonym; whose it is, only a key file knows.

    Examples
    --------
    >>> is_pseudonym("P-7K3M9QX4TZ"), is_pseudonym("P012")
    (True, False)
    """
    return _PSEUDONYM.fullmatch(text) is not None


def canonical(patient: str) -> str:
    """An id in the form that all computers agree on: composed characters (NFC), without blanks around it."""
    return unicodedata.normalize("NFC", patient).strip()


def _pseudonym(key: str, patient: str) -> PatientId:
    """The pseudonym of a patient with a key in hexadecimal digits."""
    number = int.from_bytes(hmac.digest(bytes.fromhex(key), canonical(patient).encode(), "sha256"))
    letters = (_LETTERS[number >> 256 - 5 * place & 31] for place in range(1, _LENGTH + 1))
    return PatientId(f"P-{''.join(letters)}")


class KeyFile:
    """A secret key and the patients that have pseudonyms of it, as they are in a file, and will be after `save`.

    Parameters
    ----------
    path
        The file. If it does not exist, the key is new, and `save` writes the file.

    Attributes
    ----------
    path
        The file itself, if `path` was a link.
    is_new
        Whether the file did not exist.
    patient_of
        Pseudonym -> patient.

    Raises
    ------
    WrongTarget
        If the file is a folder, or cannot be written.
    CorruptFile, DataNotFound
        If the file is damaged, was edited, is something else or cannot be read.

    Warns
    -----
    DataWarning
        If everybody on the computer can read the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.given = Path(path)
        self.path = self.given.resolve()
        check_file(self.path)
        self.is_new = not self.path.exists()
        self.patient_of: dict[PatientId, str] = {}
        if self.is_new:
            self._key, self._saved = secrets.token_hex(32), 0
        else:
            self._key = self._read(self.patient_of)
            self._saved = len(self.patient_of)
            self._warn_if_public()

    def __repr__(self) -> str:
        """Name the file and count its patients; never the key."""
        return f"KeyFile({self.given}: {counted(len(self.patient_of), 'patient')})"

    @property
    def id(self) -> str:
        """16 hexadecimal digits that tell keys apart; data sets contain them, and the key cannot be found from them.

        The key has 256 random bits, so no one can try it out.
        """
        return hashlib.sha256(f"pcm-leukemia: id of the key of pseudonyms {self._key}".encode()).hexdigest()[
            :16
        ]

    def pseudonym(self, patient: str) -> PatientId:
        """The pseudonym of a patient, who is added if unknown; a pseudonym that the file has given stays as it is.

        Raises
        ------
        ImpossibleValue
            If another patient has the same pseudonym.
        """
        if patient in self.patient_of:
            return PatientId(patient)
        pseudonym = _pseudonym(self._key, patient)
        if self.patient_of.setdefault(pseudonym, canonical(patient)) != canonical(patient):
            raise ImpossibleValue(
                f'{self.given}: two patients get the pseudonym "{pseudonym}", a chance of 1 in 200,000; import the second with '
                "a new file"
            )
        return pseudonym

    def of_spelling(self, pseudonym: PatientId, spelling: str) -> str:
        """What to put in place of another spelling of an id: folders 7 and 007 of one patient remain two folders."""
        return f"{pseudonym}-{_pseudonym(self._key, spelling)[-4:]}"

    def strangers(self, patients: Iterable[str]) -> list[str]:
        """Those of some ids that are not pseudonyms which this file has given."""
        return sorted({patient for patient in patients if patient not in self.patient_of})

    def save(self) -> None:
        """Write the file, in one step and for its owner alone, unless nothing has changed; its permissions stay as they are.

        Raises
        ------
        CorruptFile
            If the file now has another key: another import made it at the same time, or it was replaced.
        ExportError
            If it cannot be written.
        """
        if self._saved == len(self.patient_of) and not self.is_new:
            return
        meanwhile: dict[PatientId, str] = {}
        there = self.path.exists()
        if there and self._read(meanwhile) != self._key:
            raise self._replaced()
        self.patient_of |= meanwhile
        mode = stat.S_IMODE(self.path.stat().st_mode) if there else 0o600
        with new_file(self.path, mode=mode) as work:
            with work.open("w", encoding="utf-8-sig", newline="") as stream:
                self._write(stream)
                stream.flush()
                os.fsync(stream.fileno())  # the data that need this key are written next
            if not there:
                self._claim(work)
        self.is_new, self._saved = False, len(self.patient_of)

    def _claim(self, work: Path) -> None:
        """Make the file, unless another process has made it; where links are impossible, the file is replaced."""
        try:
            os.link(work, self.path)
        except FileExistsError as error:
            raise self._replaced() from error
        except (OSError, NotImplementedError):
            pass

    def _replaced(self) -> CorruptFile:
        return CorruptFile(
            f"{self.given}: has another key than at the beginning of this import; import again, with the right file"
        )

    def _write(self, stream: io.TextIOBase) -> None:
        lines = (_PREAMBLE, f"version: {_VERSION}", f"key: {self._key}", f"patients: {len(self.patient_of)}")
        stream.writelines(f"# {line}\r\n" for line in lines)
        table = csv.writer(stream)  # lines end as RFC 4180 says: then a lone "\r" is quoted, too
        table.writerow(("patient", "pseudonym"))
        table.writerows(sorted((patient, pseudonym) for pseudonym, patient in self.patient_of.items()))

    # Reading

    def _read(self, patient_of: dict[PatientId, str]) -> str:
        """Read the file into `patient_of`, and return its key."""
        text = self._text()
        head = {name: self._said(text, name) for name in ("version", "key", "patients")}
        if head["version"] not in (_VERSION, ""):
            raise CorruptFile(
                f"{self.given}: has version {head['version']}, this version of pcm-leukemia reads {_VERSION}; "
                "run: pip install --upgrade pcm-leukemia"
            )
        header = re.search(r'^"?patient"?([,;\t])"?pseudonym"?\W*$', text, re.MULTILINE)
        if header is None or not re.fullmatch(r"[0-9a-f]{64}", head["key"]):
            raise CorruptFile(self._no_key_file(text))
        start = text[: header.start()].count("\n") + 1
        for line, patient, pseudonym in self._rows(text[header.start() :], start):
            self._check_row(line, head["key"], patient, PatientId(pseudonym), patient_of)
            patient_of[PatientId(pseudonym)] = patient
        if head["patients"] != str(len(patient_of)):
            raise CorruptFile(
                f"{self.given}: has {counted(len(patient_of), 'patient')}, and had {head['patients'] or 'another number'} when it "
                f"was written; {_RESTORE}"
            )
        return head["key"]

    def _text(self) -> str:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as stream:
                return stream.read()
        except UnicodeDecodeError as error:
            raise CorruptFile(
                f"{self.given}: is not a file of pseudonyms in UTF-8; name the one that you have, or {_RESTORE}"
            ) from error
        except OSError as error:
            raise DataNotFound(
                f"{self.given}: cannot be read ({error.strerror}); give the file with your pseudonyms"
            ) from error

    @staticmethod
    def _said(text: str, name: str) -> str:
        """A value of the lines before the table; a spreadsheet may have put quotes and separators around them."""
        found = re.search(rf'^"?# {name}: (\w+)\W*$', text, re.MULTILINE)
        return found[1] if found else ""

    def _no_key_file(self, text: str) -> str:
        if not text.strip():
            return f"{self.given}: is empty; {_RESTORE}, or remove it if it never held pseudonyms"
        if text.lstrip('"').startswith(f"# {_PREAMBLE[:20]}"):
            return f"{self.given}: its key or its table is damaged; {_RESTORE}"
        return f"{self.given}: is not a file of pseudonyms; name the one that you have, or one that does not exist yet"

    def _rows(self, table: str, line: int) -> Iterator[tuple[int, str, str]]:
        """(line, patient, pseudonym) of each row below the header, which is in the given line of the file."""
        delimiter = delimiter_of(table.partition("\n")[0])
        rows = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
        try:
            next(rows)
            for row in rows:
                if any(row):
                    if len(row) < 2 or any(row[2:]):
                        raise CorruptFile(
                            f"{self.given}:{line + rows.line_num - 1}: is not a patient and a pseudonym; {_RESTORE}"
                        )
                    yield line + rows.line_num - 1, row[0], row[1]
        except csv.Error as error:
            raise CorruptFile(
                f"{self.given}:{line + rows.line_num - 1}: is not a row of a CSV ({error}); {_RESTORE}"
            ) from error

    def _check_row(
        self, line: int, key: str, patient: str, pseudonym: PatientId, patient_of: dict[PatientId, str]
    ) -> None:
        """Refuse a row that the key does not give; ids are never quoted, because messages get into logs."""
        where = f"{self.given}:{line}"
        if pseudonym in patient_of:
            same = "the same patient" if patient_of[pseudonym] == patient else "another patient"
            raise CorruptFile(f"{where}: {same} has the pseudonym {pseudonym} in a row above; {_RESTORE}")
        if _pseudonym(key, patient) != pseudonym:
            raise CorruptFile(
                f"{where}: its pseudonym is not that of its patient and the key: the file was edited, saved by a spreadsheet "
                f"or mixed with one of another key; {_RESTORE}"
            )

    def _warn_if_public(self) -> None:
        if os.name == "posix" and self.path.stat().st_mode & stat.S_IROTH:
            warnings.warn(
                f"{self.given}: everybody on this computer can read it; run: chmod 600 {self.given}",
                DataWarning,
                stacklevel=4,
            )
