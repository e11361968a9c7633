"""What of the errors on emoji is due to skin tones, each of which is a class of its own."""

from __future__ import annotations

import pandas as pd

from xbmlib import datasets
from xbmlib.datasets.names import class_names
from xbmlib.study.words import change

DATA, WORDS = "emoji", "skin tone"


def r1_by_tone(found: pd.DataFrame) -> pd.DataFrame:
    """R@1 on emoji of queries whose class is a skin tone, and of the others.

    Args:
        found: as returned by :func:`xbmlib.study.figures.retrievals.frame`.

    Returns:
        One row per toned (bool) and seed, one column per arm, in percent; no row without emoji.
    """
    first = found[(found["rank"] == 1) & (found["data"] == DATA)]
    if first.empty:
        return pd.DataFrame()
    names = class_names(DATA)
    labels = datasets.load(*first[["data", "split", "view"]].iloc[0]).query.labels.numpy()
    toned = [WORDS in names[label] for label in labels[first["query"]].tolist()]
    cells = first.assign(toned=toned).groupby(["toned", "seed", "arm"])["correct"].mean()
    return 100 * cells.unstack("arm")


def sentence(found: pd.DataFrame, none: str, memory: str) -> str:
    """How R@1 on emoji changes with the memory, with and without skin tones; nothing of others.

    Args:
        found: as for :func:`r1_by_tone`.
        none, memory: the two arms.
    """
    r1 = r1_by_tone(found)
    if r1.empty:
        return ""
    gains = (r1[memory] - r1[none]).groupby("toned")
    other, toned = (change(gains.get_group(key)) for key in (False, True))
    return (
        f" On {DATA}, R@1 {other} with the memory on the classes that are no skin tone of an "
        f"emoji, from {r1.loc[False, none].mean():.1f}%, and {toned} on those that are, from "
        f"{r1.loc[True, none].mean():.1f}%: these differ in the hue of a small area alone."
    )
