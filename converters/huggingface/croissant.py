"""croissant.json: a machine-readable description of the files and their content.

Source: the Croissant format specification 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
Every parquet file is a FileObject with its SHA-256; the files of a configuration are a FileSet, which a record
set reads. The file contains no date, so that the same data give the same file.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pcm_leukemia.converters.huggingface.card import PAPER, WrittenConfig, synthetic
from pcm_leukemia.converters.huggingface.columns import Feature
from pcm_leukemia.dataset import Dataset

__all__ = ["croissant"]

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_TYPES = {"int64": "sc:Integer", "float64": "sc:Float", "string": "sc:Text"}
_PARQUET = "application/x-parquet"


def croissant(
    ds: Dataset, written: list[WrittenConfig], license_name: str | None, repo_id: str | None
) -> str:
    """The text of croissant.json."""
    kind = "Synthetic blood-smear images" if synthetic(ds) else "Blood-smear images"
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": re.sub(r"[^\w.-]+", "-", ds.name) or "data",
        "description": f"{kind} with boxes around cells, in {len(ds.taxonomy.labels)} classes.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "citeAs": PAPER,
        "license": license_name or "unknown",
        **({"url": f"https://huggingface.co/datasets/{repo_id}"} if repo_id else {}),
        "distribution": [node for each in written for node in _distribution(each)],
        "recordSet": [node for each in written for node in _record_sets(each)],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _distribution(each: WrittenConfig) -> list[dict[str, Any]]:
    files = [file for _, files in each.splits.values() for file in files]
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path,
            "contentUrl": file.path,
            "contentSize": f"{file.size} B",
            "encodingFormat": _PARQUET,
            "sha256": file.sha256,
        }
        for file in files
    ]
    together = {
        "@type": "cr:FileSet",
        "@id": f"{each.config}-files",
        "name": f"{each.config}-files",
        "encodingFormat": _PARQUET,
        "includes": f"{each.config}/*.parquet",
    }
    return [*objects, together]


def _record_sets(each: WrittenConfig) -> list[dict[str, Any]]:
    config = each.config
    splits = {
        "@type": "cr:RecordSet",
        "@id": f"{config}-splits",
        "name": f"{config}-splits",
        "dataType": "cr:Split",
        "key": {"@id": f"{config}-splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"{config}-splits/name", "name": "name", "dataType": "sc:Text"}
        ],
        "data": [{f"{config}-splits/name": split} for split in each.splits],
    }
    split = {
        "@type": "cr:Field",
        "@id": f"{config}/split",
        "name": "split",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": f"{config}-files"},
            "extract": {"fileProperty": "fullpath"},
            # also matches a bare split name: mlcroissant applies the regex again when it joins
            "transform": {"regex": r"^(?:.*/)?([^/]+?)(?:-\d+-of-\d+\.parquet)?$"},
        },
        "references": {"field": {"@id": f"{config}-splits/name"}},
    }
    rows = {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "key": {"@id": f"{config}/{'image_id' if config == 'detection' else 'cell'}"},
        "field": [split, *(_field(config, name, feature) for name, feature in each.features.items())],
    }
    if config == "classification":  # cell numbers are unique only within an image
        rows["key"] = [{"@id": f"{config}/image_id"}, {"@id": f"{config}/cell"}]
    return [splits, rows]


def _field(config: str, name: str, feature: Feature) -> dict[str, Any]:
    extract = {"fileSet": {"@id": f"{config}-files"}, "extract": {"column": name}}
    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{config}/{name}", "name": name}
    kind = feature.get("_type")
    if kind is None:
        subfields = [
            {
                "@type": "cr:Field",
                "@id": f"{config}/{name}/{inner}",
                "name": inner,
                "dataType": _data_type(each),
                **_classes(each),
                "repeated": True,
                "source": {**extract, "transform": {"jsonPath": inner}},
            }
            for inner, each in feature.items()
        ]
        return {**field, "subField": subfields}
    if kind == "Image":
        return {
            **field,
            "dataType": "sc:ImageObject",
            "source": {**extract, "transform": {"jsonPath": "bytes"}},
        }
    repeated = {"repeated": True} if kind == "Sequence" else {}
    return {**field, "dataType": _data_type(feature), **_classes(feature), **repeated, "source": extract}


def _data_type(feature: Feature) -> str:
    feature = _innermost(feature)
    return "sc:Integer" if feature["_type"] == "ClassLabel" else _TYPES[feature["dtype"]]


def _classes(feature: Feature) -> dict[str, str]:
    """A description with the name of each class id."""
    names = _innermost(feature).get("names", ())
    return (
        {"description": ", ".join(f"{number}: {name}" for number, name in enumerate(names))} if names else {}
    )


def _innermost(feature: Feature) -> Feature:
    """The feature inside lists of any depth."""
    while feature["_type"] == "Sequence":
        feature = feature["feature"]
    return feature
