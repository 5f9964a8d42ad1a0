"""Write a CVAT export of the paper's size, or a multiple of it, without images."""

from __future__ import annotations

import random
from pathlib import Path

from pcm_leukemia.taxonomy import NINE

IMAGES, CELLS = 19_191, 40_103
"""Source: Tables 2 and 3 of the paper."""


def write(path: Path, times: int = 1, seed: int = 0) -> Path:
    """Write `times` the paper's images and boxes as 'CVAT for images 1.1' to `path`."""
    rng = random.Random(seed)
    images, cells = IMAGES * times, CELLS * times
    per_image = [0] * images
    for _ in range(cells):
        per_image[rng.randrange(images)] += 1
    labels = "".join(
        f"<label><name>{label}</name><color>#000000</color><type>rectangle</type><attributes></attributes></label>\n"
        for label in NINE.labels
    )
    with path.open("w", encoding="utf-8") as out:
        out.write(
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n'
        )
        out.write(
            f"<task><id>1</id><name>paper</name><size>{images}</size><labels>\n{labels}</labels></task>\n  </meta>\n"
        )
        for index, count in enumerate(per_image):
            # flat names: globox cannot write YOLO labels into sub-folders
            name = f"{rng.choice(('Normal', 'ALL', 'AML', 'APL'))}_P{index // 200:04d}_image_{index:06d}.jpg"
            out.write(f'  <image id="{index}" name="{name}" width="1920" height="1080">\n')
            for _ in range(count):
                side = rng.uniform(80, 220)
                x, y = rng.uniform(0, 1920 - side), rng.uniform(0, 1080 - side)
                out.write(
                    f'    <box label="{rng.choice(NINE.labels)}" source="manual" occluded="0" xtl="{x:.2f}" '
                    f'ytl="{y:.2f}" xbr="{x + side:.2f}" ybr="{y + side:.2f}" z_order="0">\n    </box>\n'
                )
            out.write("  </image>\n")
        out.write("</annotations>\n")
    return path
