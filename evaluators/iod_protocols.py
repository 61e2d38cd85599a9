"""The presets of IOD. See protocols.py for what a preset is."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class IodProtocol:
    """How discovered landmarks are regressed onto annotated keypoints, and how that is scored.

    Attributes:
        name, version: what a result is cited by.
        summary: the choices below in words.
        frame: where coordinates have their origin: "corner" is the centre of the top left pixel,
            "centre" the middle of the picture. Both are divided by the picture's longer side, so
            that large pictures weigh no more than small ones. Without a bias the origin matters.
        bias: whether the map has a constant term.
        ridge: weight of the squared coefficients in the fit; 0 is plain least squares.
        fitted_on: "train", the training objects, or "scored", the very objects that are scored.
        normaliser: "iod-pair-or-box": the distance of the category's two eyes where it has such a
            pair, else the longer side of the object's box.
        aggregation: "image-mean": mean over an image's visible keypoints, divided by the image's
            normaliser, then the plain mean over images (never a ratio of means).
    """

    name: str
    version: int
    summary: str
    frame: Literal["corner", "centre"]
    bias: bool
    ridge: Literal[0]
    fitted_on: Literal["train", "scored"]
    normaliser: Literal["iod-pair-or-box"]
    aggregation: Literal["image-mean"]


def iod_protocol(
    name: str,
    summary: str,
    *,
    frame: Literal["corner", "centre"] = "corner",
    bias: bool = False,
    fitted_on: Literal["train", "scored"] = "train",
) -> IodProtocol:
    """A preset that differs from `imm` in what is given."""
    return IodProtocol(
        name=name,
        version=1,
        summary=summary,
        frame=frame,
        bias=bias,
        ridge=0,
        fitted_on=fitted_on,
        normaliser="iod-pair-or-box",
        aggregation="image-mean",
    )


IOD_PROTOCOLS = {
    # Jakab et al., IMM (NeurIPS 2018), and with it most later tables on MAFL and AFLW.
    "imm": iod_protocol(
        "imm", "linear map without bias, origin in the picture's corner, fitted on train"
    ),
    "imm-bias": iod_protocol(
        "imm-bias", "linear map with bias, fitted on train: no origin is favoured", bias=True
    ),
    # Zhang et al., StrucRep (CVPR 2018).
    "strucrep": iod_protocol(
        "strucrep",
        "linear map without bias, origin in the picture's centre, fitted on train",
        frame="centre",
    ),
    # Jeon et al. (ICCV 2019) fit on the annotations of the "testing image pairs".
    "paper": iod_protocol(
        "paper",
        "linear map without bias, origin in the corner, fitted on the scored objects themselves",
        fitted_on="scored",
    ),
}
