"""Files on disk: reading folders and zips safely, and writing folders and files in one step."""

from __future__ import annotations

from pcm_leukemia.files.archives import ARCHIVES, UNPACK, looks_like_zip, other_archive, why_no_zip
from pcm_leukemia.files.containers import Container, Document, open_container
from pcm_leukemia.files.digests import digest
from pcm_leukemia.files.finding import Found, common_form, find_images, find_paths
from pcm_leukemia.files.leftovers import RUNNING, partial_of, runs
from pcm_leukemia.files.naming import ImageNames
from pcm_leukemia.files.paths import is_hidden, leads_outside, path_ends, portable_name
from pcm_leukemia.files.reading import (
    BAD_CONTENT,
    BAD_FILE,
    GIT_LFS,
    IMAGE_SUFFIXES,
    PULL,
    UNREAD_SUFFIXES,
    Files,
    delimiter_of,
    no_images,
    read_text,
)
from pcm_leukemia.files.roots import common_root, way_below
from pcm_leukemia.files.targets import (
    CACHE,
    CANONICAL,
    HEADER,
    MARKER,
    check_file,
    check_folder,
    check_outside,
    check_placing,
    check_target,
    check_zip,
    written_as,
    zip_name,
)
from pcm_leukemia.files.unlisted import count_unlisted, first_of, is_image_file, unlisted
from pcm_leukemia.files.uploading import check_url, remote_folder, remote_state
from pcm_leukemia.files.user_tables import UserTable, read_user_table, wrong_rows
from pcm_leukemia.files.writing import (
    Report,
    counts,
    disk_errors,
    new_file,
    new_folder,
    new_zip,
    put_in_place,
    write_json,
    write_text,
)
from pcm_leukemia.files.zips import open_zip

__all__ = [
    "ARCHIVES",
    "BAD_CONTENT",
    "BAD_FILE",
    "CACHE",
    "CANONICAL",
    "GIT_LFS",
    "HEADER",
    "IMAGE_SUFFIXES",
    "MARKER",
    "PULL",
    "RUNNING",
    "UNPACK",
    "UNREAD_SUFFIXES",
    "Container",
    "Document",
    "Files",
    "Found",
    "ImageNames",
    "Report",
    "UserTable",
    "check_file",
    "check_folder",
    "check_outside",
    "check_placing",
    "check_target",
    "check_url",
    "check_zip",
    "common_form",
    "common_root",
    "count_unlisted",
    "counts",
    "delimiter_of",
    "digest",
    "disk_errors",
    "find_images",
    "find_paths",
    "first_of",
    "is_hidden",
    "is_image_file",
    "leads_outside",
    "looks_like_zip",
    "new_file",
    "new_folder",
    "new_zip",
    "no_images",
    "open_container",
    "open_zip",
    "other_archive",
    "partial_of",
    "path_ends",
    "portable_name",
    "put_in_place",
    "read_text",
    "read_user_table",
    "remote_folder",
    "remote_state",
    "runs",
    "unlisted",
    "way_below",
    "why_no_zip",
    "write_json",
    "write_text",
    "written_as",
    "wrong_rows",
    "zip_name",
]
