"""The environment variables that decide how images are decoded, here and in worker processes."""

from __future__ import annotations

__all__ = ["MAX_PIXELS", "TURBOJPEG", "WHITE_LEVEL"]

MAX_PIXELS = "PCM_LEUKEMIA_MAX_PIXELS"
"""The largest number of pixels of an image that is decoded."""
WHITE_LEVEL = "PCM_LEUKEMIA_WHITE_LEVEL"
"""The value that is white in images of more than 8 bits a channel whose files do not say it."""
TURBOJPEG = "PCM_LEUKEMIA_TURBOJPEG"
"""The path of libjpeg-turbo, which decodes regions of JPEGs; "none" to decode whole images."""
