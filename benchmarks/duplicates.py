"""Copies planted into synthetic smears: how many `checks.check` finds, its false findings, and its time.

    python benchmarks/duplicates.py [--images 1000] [--each 25] [--export drawn.zip] [--cells 4000 40000]
    python benchmarks/duplicates.py --export bccd-cvat-images-1.1.zip --declared
    python benchmarks/duplicates.py --export drawn.zip --cells 4000 40000 400000 --index 400000

Drawing 1,000 images takes some minutes; `--export` keeps them, or reuses an existing file. With `--declared` it can be
any export, with its own labels; every ten images act as one patient. `--index` compares the search with approximate indexes
(pip install faiss-cpu usearch).
"""

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

import pcm_leukemia as pcm
from pcm_leukemia import Box, Cell, Dataset, Image, Patient, checks, images, sample
from pcm_leukemia.checks import orientations, search, similarity
from pcm_leukemia.schema import ImageId, PatientId, Split

PATIENTS = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
SMALLEST = 70
"""Smallest side of a planted cell in pixels: smaller cells (BCCD's platelets) lose too much at JPEG quality 60."""
Picture = PIL.Image.Image
Change = Callable[[Picture, int], Picture]


def again(picture: Picture, quality: int) -> Picture:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    out.seek(0)
    return PIL.Image.open(out).convert("RGB")


def half(picture: Picture) -> Picture:
    return picture.resize((picture.width // 2, picture.height // 2), PIL.Image.Resampling.LANCZOS)


def turn(picture: Picture, number: int) -> Picture:
    """One of the 7 orientations other than the stored one."""
    return picture.transpose(list(PIL.Image.Transpose)[number % 7])


WHOLE: dict[str, Change] = {
    "copied": lambda picture, _: picture,
    "JPEG quality 60": lambda picture, _: again(picture, 60),
    "half the size": lambda picture, _: half(picture),
    "turned or mirrored": lambda picture, number: again(turn(picture, number), 90),
    "turned, halved, quality 60": lambda picture, number: again(half(turn(picture, number)), 60),
}
CROPS: dict[str, Change] = {
    "cell, copied": lambda picture, _: picture,
    "cell, quality 60": lambda picture, _: again(picture, 60),
    "cell, half the size": lambda picture, _: half(picture),
    "cell, turned or mirrored": turn,
    "cell, box off by 1 %": lambda picture, _: picture,
    "cell, without a box": lambda picture, _: again(picture, 90),
}


def turned_box(box: Box, width: float, height: float, number: int) -> Box:
    """The box after `turn`."""
    points = np.array([(box.x1, box.y1), (box.x2, box.y2)])
    x, y = points.T
    x, y = [
        lambda: (width - x, y),
        lambda: (x, height - y),
        lambda: (y, width - x),
        lambda: (width - x, height - y),
        lambda: (height - y, x),
        lambda: (y, x),
        lambda: (height - y, width - x),
    ][number % 7]()
    return Box(x.min(), y.min(), x.max(), y.max())


def planted(ds: Dataset, root: Path, each: int) -> tuple[Dataset, dict[str, list[set[str]]]]:
    """`ds`, below `root`, with `each` copies of every kind, under new names, as patients of the test part."""
    rng = np.random.default_rng(0)
    files, train = images.Files(root), ds.part("train")
    rows, cells, people = list(ds.images), list(ds.cells), list(ds.patients)
    truth: dict[str, list[set[str]]] = {}
    chosen = iter(rng.permutation(len(train.images)).tolist())
    whole = [c for c in train.cells if c.label != "Other" and min(c.box.width, c.box.height) >= SMALLEST]
    picked = iter(rng.permutation(len(whole)).tolist())
    for kind, change in (WHOLE | CROPS).items():
        truth[kind] = []
        for number in range(each):
            cell = whole[next(picked)] if kind in CROPS else None
            source = ds.image(cell.image) if cell else train.images[next(chosen)]
            pixels = images.load(files, source)
            cut = PIL.Image.fromarray(images.crop(pixels, cell.box, 50) if cell else pixels)
            copy = change(cut, number)
            name = f"planted/{kind}/{number:03}.png".replace(" ", "_").replace("%", "percent")
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            copy.save(root / name)
            person = Patient(PatientId(f"PLANTED-{kind}-{number}"))
            people.append(person)
            rows.append(Image(ImageId(name), *copy.size, person.id, file=name))
            if cell and kind != "cell, without a box":
                box = own_box(cell.box, source, cut, copy, number, kind, rng)
                cells.append(Cell(ImageId(name), 0, cell.label, box))
            truth[kind].append({source.id, name})
    assert ds.split
    part_of = {row.id: ds.split.part_of.get(row.id, "test") for row in rows}
    lost = max(ds.patients, key=lambda patient: sum(image.patient == patient.id for image in train.images))
    part_of[next(image.id for image in train.images if image.patient == lost.id)] = "val"
    grown = Dataset(ds.name, ds.taxonomy, tuple(rows), tuple(cells), tuple(people), root=root)
    return grown.with_split(Split("planted", part_of)), truth


def own_box(
    box: Box, source: Image, cut: Picture, copy: Picture, number: int, kind: str, rng: np.random.Generator
) -> Box:
    """The cell's box in its planted crop."""
    x, y, _, _ = images.crop_corners(box, 50, source.width, source.height)
    inner = np.array([box.x1 - x, box.y1 - y, box.x2 - x, box.y2 - y])
    if "1 %" in kind:
        inner += rng.choice([-1, 1], 4) * 0.01 * max(box.width, box.height)
    moved = Box(*np.clip(inner, 0, [cut.width, cut.height] * 2).tolist())
    if "turned" in kind:
        moved = turned_box(moved, cut.width, cut.height, number)
    if "half" in kind:
        scale = np.array([copy.width / cut.width, copy.height / cut.height] * 2)
        moved = Box(*(np.array([moved.x1, moved.y1, moved.x2, moved.y2]) * scale).tolist())
    clipped = moved.clip(*copy.size)
    assert clipped
    return clipped


def recall(found: checks.Checked, truth: dict[str, list[set[str]]]) -> None:
    pairs = [set(finding.images) for finding in found.findings if finding.kind in COPIES]
    problems = [set(f.images) for f in found.problems if f.kind in COPIES]
    for kind, wanted in truth.items():
        hits = sum(any(pair <= group for group in problems) for pair in wanted)
        print(f"  {kind:28} {hits:3} of {len(wanted)} found")
    leaks = [f for f in found.problems if f.kind == "patient-in-two-parts"]
    print(f"  {'patient in two parts':28} {len(leaks):3} of 1 found")
    meant = [pair for pairs in truth.values() for pair in pairs]
    others = [sorted(group) for group in pairs if not any(pair <= group for pair in meant)]
    print(f"  findings of copies other than the planted ones: {len(others)} {others[:9]}")


COPIES = ("same-pixels", "near-duplicate", "cell-again", "image-is-cell")


def speed(ds: Dataset, root: Path) -> None:
    first = ds.images[0]
    pixels = images.load(images.Files(root), first)
    start = time.perf_counter()
    for _ in range(20):
        similarity.digest(pixels)
    print(f"SHA-256 of {first.width} x {first.height} pixels: {(time.perf_counter() - start) * 50:.1f} ms")
    for workers in (1, 2):
        start = time.perf_counter()
        checks.read_files(ds, workers=workers)
        spent = (time.perf_counter() - start) / len(ds.images) * 1000
        print(
            f"read_files, {workers} threads: {spent:.1f} ms an image (read, decoded, hashed, {len(ds.cells)} cells cut)"
        )


class Enough(Exception):
    """The search has run for as long as it may."""


def many(ds: Dataset, totals: Sequence[int], limit: float) -> None:
    """Time the search alone (seconds of the processor), on cells, and half as many images, made by repeating the drawn ones with noise.

    A search that takes more than `limit` seconds is stopped, and its time follows from the share of pairs that were compared
    since its first report; what comes before is done once for each thumbnail.
    """
    readings = checks.read_files(ds)
    cells = np.stack([cell for each in readings for cell in each.cells])
    wholes = np.stack([each.whole for each in readings if each.whole is not None])
    rng = np.random.default_rng(0)
    wanted = [each for total in totals for each in (("cells", cells, total), ("images", wholes, total // 2))]
    for what, stack, total in wanted:
        origin = np.arange(total) % len(stack)
        noisy = with_noise(stack, origin, rng)
        begun = time.process_time()
        reports: list[tuple[float, float]] = []

        def watch(share: float, begun: float = begun, reports: list[tuple[float, float]] = reports) -> None:
            reports.append((share, time.process_time() - begun))
            if reports[-1][1] > limit and len(reports) > 1:
                raise Enough

        with suppress(Enough):
            search.near(noisy, origin, on_progress=watch)
        (first, before), (done, spent) = reports[0], reports[-1]
        whole = spent + (spent - before) / max(done - first, 1e-9) * (1 - done)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        part = f", from {done:.1%} of the pairs in {spent:.0f} s" if done < 1 else ""
        print(f"search among {total:,} {what}: {whole:.1f} s{part}; peak of the process {peak:.0f} MB")


def with_noise(
    stack: similarity.Stack, rows: npt.NDArray[np.intp], rng: np.random.Generator
) -> similarity.Stack:
    """These thumbnails of a stack, with noise that keeps their coarse structure."""
    noisy = np.empty((len(rows), *stack.shape[1:]), np.uint8)
    for start in range(0, len(rows), 4096):
        some = stack[rows[start : start + 4096]]
        noisy[start : start + 4096] = np.clip(some + rng.normal(0, 8, some.shape), 0, 255)
    return noisy


def with_indexes(ds: Dataset, total: int, queries: int = 500) -> None:
    """Compare the exact search among `total` cells with approximate indexes, by `queries` planted copies.

    The recall is that of the planted pairs, and of all pairs within the coarse radius, which the fine comparison needs.
    """
    import faiss
    from usearch.index import Index

    rng = np.random.default_rng(0)
    cells = np.stack([cell for each in checks.read_files(ds) for cell in each.cells])
    origin = np.arange(total) % len(cells)
    stack = with_noise(cells, origin, rng)
    sources = rng.choice(total, queries, replace=False)
    planted = with_noise(stack, sources, rng)
    planted = np.stack([similarity.turned(each[None], number % 8)[0] for number, each in enumerate(planted)])

    def described(some: similarity.Stack) -> similarity.Floats:
        chunks = (some[start : start + 256] for start in range(0, len(some), 256))
        return np.concatenate(
            [orientations.components(similarity.coarse(similarity.fine(each))) for each in chunks]
        )

    every, asked = described(stack), described(planted)
    invariant, invariant_asked = orientations.invariants(every), orientations.invariants(asked)
    least = similarity.COPIES.propose

    def within(candidates: Callable[[int], npt.NDArray[np.intp]]) -> tuple[set[tuple[int, int]], int, float]:
        """The pairs of queries and cells within the coarse radius, the number of planted ones, and seconds of the processor."""
        pairs: set[tuple[int, int]] = set()
        begun, count = time.process_time(), 0
        for query in range(queries):
            some = candidates(query)
            alike = orientations.products(np.repeat(asked[query : query + 1], len(some), 0), every[some])
            near = some[(alike >= least).any(axis=1)]
            count += int(sources[query]) in near
            pairs.update((query, other) for other in near.tolist())
        return pairs, count, time.process_time() - begun

    truth, copies, _ = within(
        lambda query: np.flatnonzero(invariant @ invariant_asked[query] >= least - 1e-4)
    )
    print(
        f"among {total:,} cells, {queries} queries have {len(truth):,} pairs within the coarse radius, "
        f"{copies} of them planted"
    )

    def tell(what: str, built: float, found: tuple[set[tuple[int, int]], int, float]) -> None:
        pairs, planted_pairs, seconds = found
        print(
            f"  {what}: built in {built:.1f} s, {seconds / queries * 1e6:.0f} us a query, "
            f"recall {planted_pairs / copies:.4f} of planted, {len(pairs) / len(truth):.4f} of all"
        )

    faiss.omp_set_num_threads(1)
    begun = time.process_time()
    lists = faiss.IndexIVFFlat(faiss.IndexFlatIP(48), 48, int(2 * total**0.5), faiss.METRIC_INNER_PRODUCT)
    lists.train(invariant)
    lists.add(invariant)
    built = time.process_time() - begun
    for lists.nprobe in (4, 16, 64):
        found = within(lambda query: lists.range_search(invariant_asked[query][None], least - 1e-4)[2])
        tell(f"faiss IVF-Flat, {lists.nprobe} of {lists.nlist} lists", built, found)
    begun = time.process_time()
    graph = Index(ndim=48, metric="ip", dtype="f32")
    graph.add(np.arange(total), invariant, threads=1)
    built = time.process_time() - begun
    for count in (100, 1000):

        def nearest(query: int, count: int = count) -> npt.NDArray[np.intp]:
            return np.asarray(graph.search(invariant_asked[query], count, threads=1).keys, np.intp)

        tell(f"usearch HNSW, {count} nearest", built, within(nearest))


def opened(export: Path, *, declared: bool) -> Dataset:
    if not declared:
        return pcm.load_dataset(export, patients=PATIENTS, check_images=False)
    ds = pcm.load_dataset(export, taxonomy="declared")
    people = [PatientId(f"block {number // 10:03}") for number in range(len(ds.images))]
    rows = tuple(replace(image, patient=person) for image, person in zip(ds.images, people, strict=True))
    return replace(ds, images=rows, patients=tuple(Patient(person) for person in dict.fromkeys(people)))


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=1000)
    arguments.add_argument("--each", type=int, default=25, help="copies of each kind")
    arguments.add_argument(
        "--cells",
        type=int,
        nargs="*",
        default=[4_000, 40_000],
        help="how many cells to search; none skips it",
    )
    arguments.add_argument(
        "--limit", type=float, default=300, help="seconds of the processor after which a search is stopped"
    )
    arguments.add_argument("--index", type=int, help="how many cells to search with approximate indexes, too")
    arguments.add_argument("--export", type=Path, help="a sample drawn before, or the file to keep it in")
    arguments.add_argument("--declared", action="store_true", help="the export is not one of our samples")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as work:
        export = given.export or Path(work) / "sample.zip"
        if not export.exists():
            sample.write(export, patients=max(given.images // 16, 4), images=given.images, seed=1)
        with zipfile.ZipFile(export) as archive:
            archive.extractall(Path(work) / "export")
        ds = opened(Path(work) / "export", declared=given.declared)
        ds = ds.with_split(pcm.splits.by_patient(ds))
        assert isinstance(ds.root, Path)
        start = time.perf_counter()
        clean = checks.check(ds)
        print(f"{ds!r}: {time.perf_counter() - start:.1f} s; {len(clean.findings)} findings before planting")
        speed(ds, ds.root)
        if given.cells:
            many(ds, given.cells, given.limit)
        if given.index:
            with_indexes(ds, given.index)
        grown, truth = planted(replace(ds), ds.root, given.each)
        recall(checks.check(grown), truth)


if __name__ == "__main__":
    main()
