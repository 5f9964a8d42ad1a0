"""Measure import, check and crops of images on an S3 server of this machine, beside the same images in a folder.

    python benchmarks/remote.py [--images N] [--delay SECONDS]

The server (moto) is in a process of its own. It answers in a few milliseconds, so `--delay` can add what a network does: every
request waits as long. Processor time is that of the client alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pcm_leukemia as pcm
from pcm_leukemia import checks, converters, sample

SERVER = """
import sys, time
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
app = DomainDispatcherApplication(create_backend_app)
def slow(environ, start):
    time.sleep(float(sys.argv[1]))
    return app(environ, start)
server = make_server("127.0.0.1", 0, slow, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


def timed(what: str, work: Callable[[], object]) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    work()
    print(f"  {what}: {time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s of processors")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--images", type=int, default=100)
    arguments.add_argument("--delay", type=float, default=0.0)
    given = arguments.parse_args()
    command = [sys.executable, "-c", SERVER, str(given.delay)]
    with (
        tempfile.TemporaryDirectory() as work,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server,
    ):
        try:
            assert server.stdout
            port = server.stdout.readline().strip()
            os.environ |= {
                "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "somebody",
                "AWS_SECRET_ACCESS_KEY": "anything",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            measure(Path(work), given.images)
        finally:
            server.kill()


def measure(work: Path, images: int) -> None:
    import s3fs

    packed = sample.write(work / "sample.zip", patients=max(images // 10, 2), images=images, seed=1)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(work / "export")
    xml = work / "annotations.xml"
    (work / "export" / "annotations.xml").rename(xml)
    files = s3fs.S3FileSystem()
    files.mkdir("ward")
    files.put(f"{work / 'export'}/", "ward/frames/", recursive=True)
    size = sum(file.stat().st_size for file in (work / "export").rglob("*") if file.is_file())
    print(f"{images} images, {size / 1e6:.0f} MB")
    for root, out in ((work / "export", work / "crops"), ("s3://ward/frames", "s3://ward/crops")):
        print(root if isinstance(root, str) else "folder")
        found: list[pcm.Dataset] = []
        timed("import", lambda root=root, found=found: found.append(pcm.load_dataset(xml, images_root=root)))  # type: ignore[misc]
        (ds,) = found
        timed("check", lambda ds=ds: checks.check(ds))  # type: ignore[misc]
        timed("crops to a folder", lambda ds=ds: converters.get("crops").write(ds, work / "other"))  # type: ignore[misc]
        timed("crops beside the images", lambda ds=ds, out=out: converters.get("crops").write(ds, out))  # type: ignore[misc]


if __name__ == "__main__":
    main()
