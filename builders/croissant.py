"""A data set in Croissant 1.0, the JSON-LD vocabulary that data set searches and loaders read.

Source: the Croissant format specification, https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jladkit.builders.about import About
from jladkit.formats.files import digest_of_file

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "conformsTo": "dct:conformsTo",
    **{
        term: f"cr:{term}"
        for term in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path",
            "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
            "subField", "transform",
        )
    },
}  # fmt: skip
FILE = "dataset"  # the id of the file in the record
TYPES = {"int": "sc:Integer", "float": "sc:Float", "bool": "sc:Boolean", "text": "sc:Text"}
# Of each field: its type, its shape for one record, and what it is.
FIELDS = {
    "category/name": ("text", "", "the category's name"),
    "category/keypoint_names": ("text", "K", "names of its keypoints, filled up with empty text"),
    "category/flip": ("int", "K", "where each keypoint goes in a mirror picture, -1 not known"),
    "category/iod_pair": ("int", "2", "the keypoints whose distance normalises IOD, or -1 -1"),
    "object/image_span": ("int", "2", "first and last+1 byte of its picture in object/image_bytes"),
    "object/source_image": ("text", "", "path of the source picture below the source's root"),
    "object/source_index": ("int", "", "which object of that picture's record"),
    "object/source_size": ("int", "2", "width and height of the source picture"),
    "object/to_source": ("float", "2x3", "affine map from stored pixels to the source's"),
    "object/category": ("int", "", "row of category"),
    "object/keypoints": ("float", "Kx2", "x, y in stored pixels, (0, 0) a pixel's centre; or NaN"),
    "object/visible": ("bool", "K", "whether a keypoint counts as visible"),
    "object/status": ("int", "K", "the source's own code, -1 none"),
    "object/box": ("float", "4", "x1 y1 x2 y2 in pixels of the stored picture"),
    "object/size": ("int", "2", "width and height of the stored picture"),
    "object/viewpoint": ("float", "4", "azimuth, elevation, theta in degrees, distance; or NaN"),
    "object/truncated": ("int", "", "1, 0, or -1 not known"),
    "object/occluded": ("int", "", "1, 0, or -1 not known"),
    "object/difficult": ("int", "", "1, 0, or -1 not known"),
    "object/split": ("int", "", "0 train, 1 val, 2 test"),
    "pair/source": ("int", "", "row of object"),
    "pair/target": ("int", "", "row of object"),
    "pair/category": ("int", "", "row of category"),
    "pair/split": ("int", "", "0 train, 1 val, 2 test"),
    "pair/common": ("int", "", "how many keypoints are visible in both"),
}  # fmt: skip
REFERENCES = {
    "object/category": "category/name",
    "pair/category": "category/name",
    "pair/source": "object/source_image",
    "pair/target": "object/source_image",
}


def croissant(told: Mapping[str, Any], about: About, dataset: Path) -> dict[str, Any]:
    """The JSON-LD record.

    Args:
        told: what `formats.describe.describe` says of the data set; all of it is stated.
        about: the source's facts.
        dataset: the dataset.h5, whose digest is taken.
    """
    objects, pairs = (sum(sum(n.values()) for n in told[w].values()) for w in ("objects", "pairs"))
    record: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": told["name"],
        "description": f"{objects} objects and {pairs} pairs of {about.title} for semantic "
        f"alignment and landmark detection, built by jladkit {told['recipe'].get('jladkit')}.",
        "license": about.licence,
        "url": about.url,
        "citeAs": about.citation,
        "version": "1.0.0",
        "keywords": ["semantic correspondence", "landmark detection", *told["objects"]],
        "isLiveDataset": False,
    }
    if about.creator:
        record["creator"] = {"@type": "sc:Person", "name": about.creator}
    if about.published:
        record["datePublished"] = about.published
    return record | {
        "distribution": distribution(dataset),
        "recordSet": [record_set(group) for group in ("category", "object", "pair")],
        "additionalProperty": [
            property_value(name, told[name]) for name in told if name not in ("format", "name")
        ],
    }  # fmt: skip


def property_value(name: str, value: Any) -> dict[str, Any]:
    """A fact that Croissant has no term for, as schema.org states such; records, and lists of them, are
    nested."""
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        value = {str(number): entry for number, entry in enumerate(value)}
    if isinstance(value, Mapping):
        value = [property_value(key, entry) for key, entry in value.items()]
    return {"@type": "sc:PropertyValue", "name": name, "value": value}


def distribution(dataset: Path) -> list[dict[str, Any]]:
    """The file, and the folder of pictures where it is a virtual data set."""
    files: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": FILE,
            "name": dataset.name,
            "description": "HDF5, described field by field in jladkit.formats.dataset",
            "contentUrl": dataset.name,
            "contentSize": f"{dataset.stat().st_size} B",
            "encodingFormat": "application/x-hdf5",
            "sha256": digest_of_file(dataset),
        }
    ]
    shards = dataset.with_suffix(".shards")
    if shards.is_dir():
        files.append({
            "@type": "cr:FileSet",
            "@id": "shards",
            "name": shards.name,
            "description": "the pictures, which the file points to",
            "encodingFormat": "application/x-hdf5",
            "includes": f"{shards.name}/*.h5",
        })  # fmt: skip
    return files


def record_set(group: str) -> dict[str, Any]:
    """The fields of category, object or pair."""
    return {
        "@type": "cr:RecordSet",
        "@id": group,
        "name": group,
        "description": f"one record a {group}; fields lie in columns of the same name",
        "field": [field(name) for name in FIELDS if name.startswith(f"{group}/")],
    }


def field(name: str) -> dict[str, Any]:
    """One field, taken from the HDF5 data set of the same name."""
    kind, shape, meaning = FIELDS[name]
    more: dict[str, Any] = {"repeated": True} if shape else {}
    if name in REFERENCES:
        more["references"] = {"field": {"@id": REFERENCES[name]}}
    return {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "description": f"{meaning}; shape {shape}" if shape else meaning,
        "dataType": TYPES[kind],
        "source": {"fileObject": {"@id": FILE}, "extract": {"column": name}},
        **more,
    }
