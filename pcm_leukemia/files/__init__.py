"""Files on disk: reading folders and zips safely, and writing folders and files in one step."""

from __future__ import annotations

from pcm_leukemia.files.ahead import ahead
from pcm_leukemia.files.containers import Container, Document, find_images, open_container
from pcm_leukemia.files.digests import digest
from pcm_leukemia.files.paths import leads_outside, portable_name
from pcm_leukemia.files.reading import BAD_FILE, IMAGE_SUFFIXES, Files
from pcm_leukemia.files.writing import (
    CANONICAL,
    HEADER,
    MARKER,
    Report,
    check_target,
    check_zip,
    counts,
    disk_errors,
    new_file,
    new_folder,
    new_zip,
    put_in_place,
    runs,
    write_json,
    write_text,
    written_as,
    zip_name,
)

__all__ = [
    "BAD_FILE",
    "CANONICAL",
    "HEADER",
    "IMAGE_SUFFIXES",
    "MARKER",
    "Container",
    "Document",
    "Files",
    "Report",
    "ahead",
    "check_target",
    "check_zip",
    "counts",
    "digest",
    "disk_errors",
    "find_images",
    "leads_outside",
    "new_file",
    "new_folder",
    "new_zip",
    "open_container",
    "portable_name",
    "put_in_place",
    "runs",
    "write_json",
    "write_text",
    "written_as",
    "zip_name",
]
