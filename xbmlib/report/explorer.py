"""The explorer's data: queries with the images retrieved in both arms, one script per data set."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import pandas as pd
from PIL import Image
from torch import Tensor

from xbmlib import datasets
from xbmlib.datasets.names import class_names
from xbmlib.study.figures.retrievals import KINDS, RATIOS, chosen, counts, images

EACH = 50


def scripts(found: pd.DataFrame) -> dict[str, str]:
    """Data set to the script that adds its queries to ``RETRIEVALS``, for a page to load.

    These are the first ``EACH`` queries of each kind
    (:func:`xbmlib.study.figures.retrievals.chosen`).

    Args:
        found: as returned by :func:`xbmlib.study.figures.retrievals.frame`.
    """
    selected = chosen(found, EACH, tuple(KINDS.values()))
    sets = {str(name): _set(str(name), part) for name, part in selected.groupby("data", sort=False)}
    return {name: f"RETRIEVALS[{_json(name)}] = {_json(data)};\n" for name, data in sets.items()}


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def about(found: pd.DataFrame) -> str:
    """Markdown: the number of queries of each kind, and the runs that answered them.

    Args:
        found: as for :func:`script`; only its first seed counts.
    """
    number = counts(found).groupby("data").first()
    shown = number.clip(upper=EACH)
    rows = ["| data | queries | " + " | ".join(number) + " |", "|---" * 6 + "|"]
    for name in number.index:
        cells = (f"{number.loc[name, k]:,} ({shown.loc[name, k]} shown)" for k in number)
        rows.append(f"| {name} | {number.loc[name].sum():,} | {' | '.join(cells)} |")
    first = found[found["seed"] == found["seed"].min()].drop_duplicates("run")
    runs = (f"{r.data}, {r.arm} `{r.run}`" for r in first.itertuples())
    return "\n".join([*rows, "", f"Runs: {'; '.join(runs)}."])


def _set(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """One data set: its images, and its queries, which name images by their position."""
    data = datasets.load(name, *rows[["split", "view"]].iloc[0])
    searched = data.query if data.gallery is None else data.gallery
    shown = images(rows)
    place = {key: i for i, key in enumerate(shown)}
    queries = []
    for query, retrieved in rows.groupby("query", sort=False):
        number = int(str(query))
        results = {
            arm: [
                {
                    "image": place[name, "neighbour", row.neighbour],
                    "label": int(searched.labels[row.neighbour]),
                    "similarity": round(row.similarity, 4),
                    "correct": bool(row.correct),
                }
                for row in retrieved[retrieved["arm"] == arm].itertuples()
            ]
            for arm in RATIOS
        }
        queries.append(
            {
                "query": number,
                "image": place[name, "query", number],
                "label": int(data.query.labels[number]),
                "kind": retrieved["kind"].iloc[0],
                "retrieved": results,
            }
        )
    named = class_names(name)
    labels = {query["label"] for query in queries}
    labels |= {r["label"] for query in queries for arm in RATIOS for r in query["retrieved"][arm]}
    return {
        "data": name,
        "kinds": list(KINDS.values()),
        "names": {label: named.get(label, f"class {label}") for label in sorted(labels)},
        "images": [_uri(image) for image in shown.values()],
        "queries": queries,
    }


def _uri(image: Tensor) -> str:
    file = BytesIO()
    pixels = image.permute(1, 2, 0).squeeze(2).numpy()  # no third axis if there is one channel
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
