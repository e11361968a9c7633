"""Tests of what skin tones have to do with the errors on emoji."""

import pandas as pd
import pyarrow.parquet as pq

from xbmlib import datasets
from xbmlib.datasets import bundled
from xbmlib.study.figures.skin_tones import r1_by_tone, sentence


def test_queries_are_split_by_the_names_of_their_classes():
    """Oracle: by hand: of two toned queries one is correct in each arm, of two others one with no
    memory and both with it; the names as the file has them.
    """
    file = pq.read_table(bundled.FOLDER / "emoji.parquet", columns=["label", "name"]).to_pydict()
    names = dict(zip(file["label"], file["name"], strict=True))
    labels = datasets.load("emoji").query.labels.tolist()
    toned = [i for i, label in enumerate(labels) if "skin-tone" in names[label]][:2]
    others = [i for i, label in enumerate(labels) if "skin-tone" not in names[label]][:2]
    correct = {"none": [True, False, True, False], "memory": [False, True, True, True]}
    common = {"data": "emoji", "split": "test", "view": "rendered"}
    rows = [
        common | {"seed": s, "arm": arm, "rank": rank, "query": q, "correct": hit and rank == 1}
        for s in (0, 1)
        for arm, hits in correct.items()
        for q, hit in zip([*toned, *others], hits, strict=True)
        for rank in (1, 2)
    ]
    found = pd.DataFrame(rows)
    r1 = r1_by_tone(found)
    assert r1.loc[True].to_numpy().tolist() == [[50, 50]] * 2
    assert r1.loc[False, "none"].tolist() == [50, 50]
    assert r1.loc[False, "memory"].tolist() == [100, 100]
    said = sentence(found, "none", "memory")
    assert "R@1 rises by 50.0 ± 0.0 points with the memory on the classes that are no skin" in said
    assert "changes by +0.0 ± 0.0 points (undecided) on those that are, from 50.0%" in said
    assert sentence(found.assign(data="hanzi"), "none", "memory") == ""
