"""How the paper measures: data sets, their splits, and the K of R@K (Section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Numbers of images and classes in one part of a data set, as the paper states them."""

    images: int
    classes: int


@dataclass(frozen=True)
class Protocol:
    """A data set of the paper.

    Attributes:
        name: as printed.
        whole: as printed; In-shop's is not the sum of its parts.
        train: the training part, N images.
        test: the test parts, by name.
        ks: the K of R@K.
    """

    name: str
    whole: Part
    train: Part
    test: dict[str, Part]
    ks: tuple[int, ...]


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol(
            "SOP",
            Part(120_053, 22_634),
            Part(59_551, 11_318),
            {"test": Part(60_502, 11_316)},
            (1, 10, 100, 1000),
        ),
        Protocol(
            "In-shop",
            Part(72_712, 7_986),
            Part(25_882, 3_997),
            {"query": Part(14_218, 3_985), "gallery": Part(12_612, 3_985)},
            (1, 10, 20, 30, 40, 50),
        ),
        Protocol(
            "VehicleID",
            Part(221_736, 26_267),
            Part(110_178, 13_134),
            {
                "small": Part(7_332, 800),
                "medium": Part(12_995, 1_600),
                "large": Part(20_038, 2_400),
            },
            (1, 5),
        ),
    )
}
