"""Tables 1 to 5 of the paper, every row, in its order."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from xbmlib.paper.arms import MEMORY, NO_MEMORY

BACKBONES = {"G": "GoogLeNet", "B": "BN-Inception", "R": "ResNet50"}


@dataclass(frozen=True)
class Row:
    """A row of Tables 3 to 5.

    Attributes:
        method: as printed.
        reference: its number in the paper's bibliography; None for the paper's own rows.
        backbone: full name; None where the table names none.
        dim: D; None where the table gives none.
        recall: by measure, in percent; None where the table has a dash.
    """

    method: str
    reference: int | None
    backbone: str | None
    dim: int | None
    recall: dict[str, float | None]


@dataclass(frozen=True)
class Cost:
    """A row of Table 2: SOP, contrastive, GoogLeNet, D = 512.

    Attributes:
        batch: mini-batch size m.
        ratio: R_M; 0 for no memory.
        hours: training time.
        gigabytes: GPU memory in the first row; in the others, what they add to it.
        r1: R@1 in percent.
        gain: R@1 minus the first row's, in points; None in the first row.
    """

    batch: int
    ratio: float
    hours: float
    gigabytes: float
    r1: float
    gain: float | None


COST = (
    Cost(64, 0.0, 2.10, 5.12, 63.9, None),
    Cost(256, 0.0, 4.32, 15.7, 71.7, 7.8),
    Cost(64, 0.01, 2.48, 0.01, 69.8, 5.9),
    Cost(64, 1.0, 3.19, 0.20, 77.4, 13.5),
)

SOP = ("R@1", "R@10", "R@100", "R@1000")
IN_SHOP = ("R@1", "R@10", "R@20", "R@30", "R@40", "R@50")
VEHICLE_ID = ("small R@1", "small R@5", "medium R@1", "medium R@5", "large R@1", "large R@5")

# Method, reference, backbone and D, then the cells from left to right.
_TABLE_3 = """
HDC         | 45 | G 384 | 69.5 84.4 92.8 97.7
A-BIER      | 24 | G 512 | 74.2 86.9 94.0 97.8
ABE         | 14 | G 512 | 76.3 88.4 94.8 98.2
SM          | 32 | G 512 | 75.2 87.5 93.7 97.4
Clustering  | 31 | B 64  | 67.0 83.7 93.2 -
ProxyNCA    | 21 | B 64  | 73.7 - - -
HTL         | 6  | B 512 | 74.8 88.3 94.8 98.4
MS          | 37 | B 512 | 78.2 90.5 96.0 98.7
SoftTriple  | 25 | B 512 | 78.6 86.6 91.8 95.4
Margin      | 40 | R 128 | 72.7 86.2 93.8 98.0
Divide      | 28 | R 128 | 75.9 88.4 94.9 98.1
FastAP      | 2  | R 128 | 73.8 88.0 94.9 98.3
MIC         | 26 | R 128 | 77.2 89.4 95.6 -
Cont. w/ M  |    | G 512 | 77.4 89.6 95.4 98.4
Cont. w/ M  |    | B 512 | 79.5 90.8 96.1 98.7
Cont. w/ M  |    | R 128 | 80.6 91.6 96.2 98.7
"""
_TABLE_4 = """
HDC         | 45 | G 384 | 62.1 84.9 89.0 91.2 92.3 93.1
A-BIER      | 24 | G 512 | 83.1 95.1 96.9 97.5 97.8 98.0
ABE         | 14 | G 512 | 87.3 96.7 97.9 98.2 98.5 98.7
HTL         | 6  | B 512 | 80.9 94.3 95.8 97.2 97.4 97.8
MS          | 37 | B 512 | 89.7 97.9 98.5 98.8 99.1 99.2
Divide      | 28 | R 128 | 85.7 95.5 96.9 97.5 - 98.0
MIC         | 26 | R 128 | 88.2 97.0 - 98.0 - 98.8
FastAP      | 2  | R 512 | 90.9 97.7 98.5 98.8 98.9 99.1
Cont. w/ M  |    | G 512 | 89.4 97.5 98.3 98.6 98.7 98.9
Cont. w/ M  |    | B 512 | 89.9 97.6 98.4 98.6 98.8 98.9
Cont. w/ M  |    | R 128 | 91.3 97.8 98.4 98.7 99.0 99.1
"""
_TABLE_5 = """
GS-TRS      | 5  |        | 75.0 83.0 74.1 82.6 73.2 81.9
BIER        | 23 | G 512  | 82.6 90.6 79.3 88.3 76.0 86.4
A-BIER      | 24 | G 512  | 86.3 92.7 83.3 88.7 81.9 88.7
VANet       | 4  | G 2048 | 83.3 95.9 81.1 94.7 77.2 92.9
MS          | 37 | B 512  | 91.0 96.1 89.4 94.8 86.7 93.8
Divide      | 28 | R 128  | 87.7 92.9 85.7 90.4 82.9 90.2
MIC         | 26 | R 128  | 86.9 93.4 - - 82.0 91.0
FastAP      | 2  | R 512  | 91.9 96.8 90.6 95.9 87.5 95.1
Cont. w/ M  |    | G 512  | 94.0 96.3 93.2 95.4 92.5 95.5
Cont. w/ M  |    | B 512  | 94.6 96.9 93.4 96.0 93.0 96.1
Cont. w/ M  |    | R 128  | 94.7 96.8 93.7 95.8 93.0 95.8
"""
# Loss, memory, then SOP, In-shop and VehicleID; GoogLeNet, D = 512.
_TABLE_1 = """
contrastive      | none | 64.0 81.4 92.1 97.8 | 77.1 93.0 95.2 96.1 96.8 97.1 | 79.5 91.6 76.2 89.3 70.0 86.0
contrastive      | w/ M | 77.8 89.8 95.4 98.5 | 89.1 97.3 98.1 98.4 98.7 98.8 | 94.1 96.2 93.1 95.5 92.5 95.5
triplet          | none | 61.6 80.2 91.6 97.7 | 79.8 94.8 96.5 97.4 97.8 98.2 | 86.9 94.8 84.8 93.4 79.7 91.4
triplet          | w/ M | 74.2 87.4 94.2 98.0 | 82.9 95.7 96.9 97.4 97.8 98.0 | 93.3 95.8 92.0 95.0 91.3 94.8
multi_similarity | none | 69.7 84.2 93.1 97.9 | 85.1 96.7 97.8 98.3 98.7 98.8 | 91.0 96.1 89.4 94.8 86.7 93.8
multi_similarity | w/ M | 76.2 89.3 95.4 98.6 | 87.1 97.1 98.0 98.4 98.7 98.9 | 94.1 96.7 93.0 95.8 92.1 95.6
"""  # noqa: E501
SETS = {"SOP": SOP, "In-shop": IN_SHOP, "VehicleID": VEHICLE_ID}


def first_measure(name: str) -> str:
    """R@1 of one of SETS; of VehicleID's three test lists that of the largest."""
    return next(measure for measure in reversed(SETS[name]) if measure.endswith("R@1"))


def r1_of_both_arms(name: str, loss: str) -> tuple[float, float]:
    """R@1 of Table 1 with a loss on one of SETS: with no memory, and with memory."""
    none, memory = (LOSSES[name, loss, arm][first_measure(name)] for arm in (NO_MEMORY, MEMORY))
    return none, memory


def _cells(text: str) -> list[float | None]:
    return [None if cell == "-" else float(cell) for cell in text.split()]


def _rows(text: str, measures: tuple[str, ...]) -> tuple[Row, ...]:
    out = []
    for line in text.strip().splitlines():
        method, reference, net, cells = (part.strip() for part in line.split("|"))
        letter, _, dim = net.partition(" ")
        out.append(
            Row(
                method,
                int(reference) if reference else None,
                BACKBONES.get(letter),
                int(dim) if dim else None,
                dict(zip(measures, _cells(cells), strict=True)),
            )
        )
    return tuple(out)


# Number of the table: data set and rows.
RECALL = {
    3: ("SOP", _rows(_TABLE_3, SOP)),
    4: ("In-shop", _rows(_TABLE_4, IN_SHOP)),
    5: ("VehicleID", _rows(_TABLE_5, VEHICLE_ID)),
}


# Table 1 marks its rows with memory "w/ M".
_ARMS = {"none": NO_MEMORY, "w/ M": MEMORY}


def _losses() -> dict[tuple[str, str, str], dict[str, float]]:
    out = {}
    for line in _TABLE_1.strip().splitlines():
        loss, memory, *parts = (part.strip() for part in line.split("|"))
        for (name, measures), cells in zip(SETS.items(), parts, strict=True):
            out[name, loss, _ARMS[memory]] = dict(
                zip(measures, map(float, cells.split()), strict=True)
            )
    return out


# Table 1: (data set, loss, NO_MEMORY or MEMORY) to the recall of each measure, in percent.
LOSSES = _losses()


def table(number: int) -> pd.DataFrame:
    """Table 3 (SOP), 4 (In-shop) or 5 (VehicleID), every row.

    Returns:
        method, backbone, D and one column per measure, in percent.

    Raises:
        KeyError: any other number.
    """
    _, rows = RECALL[number]
    return pd.DataFrame(
        [
            {"method": row.method, "backbone": row.backbone, "D": row.dim, **row.recall}
            for row in rows
        ]
    ).astype({"D": "Int64"})
