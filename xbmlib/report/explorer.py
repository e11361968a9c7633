"""What the explorer shows: queries with the images found without and with memory, as a script."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import pandas as pd
from PIL import Image
from torch import Tensor

from xbmlib import datasets
from xbmlib.study.figures.retrievals import KINDS, RATIOS, chosen, counts, pictures

EACH = 50


def script(found: pd.DataFrame) -> str:
    """A script that leaves the queries of every data set in ``RETRIEVALS``; a page loads it.

    The first ``EACH`` queries of each kind, as
    :func:`xbmlib.study.figures.retrievals.chosen` has them.

    Args:
        found: as from :func:`xbmlib.study.figures.retrievals.frame`.
    """
    drawn = chosen(found, EACH, tuple(KINDS.values()))
    sets = [_set(str(name), part) for name, part in drawn.groupby("data", sort=False)]
    text = json.dumps(sets, ensure_ascii=False, separators=(",", ":"))
    return f"const RETRIEVALS = {text};\n"


def about(found: pd.DataFrame) -> str:
    """Markdown: how many of the queries asked are of each kind, and in which runs.

    Args:
        found: as for :func:`script`; its first seed counts.
    """
    number = counts(found).groupby("data").first()
    shown = number.clip(upper=EACH)
    rows = ["| data | queries asked | " + " | ".join(number) + " |", "|---" * 6 + "|"]
    for name in number.index:
        cells = (f"{number.loc[name, k]:,} ({shown.loc[name, k]} shown)" for k in number)
        rows.append(f"| {name} | {number.loc[name].sum():,} | {' | '.join(cells)} |")
    first = found[found["seed"] == found["seed"].min()].drop_duplicates("run")
    runs = (f"{r.data} {r.memory} memory `{r.run}`" for r in first.itertuples())
    return "\n".join([*rows, "", f"Runs: {', '.join(runs)}."])


def _set(name: str, drawn: pd.DataFrame) -> dict[str, Any]:
    """One data set: its pictures, and its queries by their places among these."""
    data = datasets.load(name, *drawn[["split", "view"]].iloc[0])
    searched = data.query if data.gallery is None else data.gallery
    shown = pictures(drawn)
    place = {key: i for i, key in enumerate(shown)}
    queries = []
    for query, rows in drawn.groupby("query", sort=False):
        image = int(str(query))
        results = {
            memory: [
                {
                    "picture": place[name, "neighbour", row.neighbour],
                    "label": int(searched.labels[row.neighbour]),
                    "similarity": round(row.similarity, 4),
                    "correct": bool(row.correct),
                }
                for row in rows[rows["memory"] == memory].itertuples()
            ]
            for memory in RATIOS
        }
        queries.append(
            {
                "query": image,
                "picture": place[name, "query", image],
                "label": int(data.query.labels[image]),
                "kind": rows["kind"].iloc[0],
                "found": results,
            }
        )
    return {
        "data": name,
        "kinds": list(KINDS.values()),
        "pictures": [_uri(picture) for picture in shown.values()],
        "queries": queries,
    }


def _uri(picture: Tensor) -> str:
    file = BytesIO()
    pixels = picture.permute(1, 2, 0).squeeze(2).numpy()  # no third axis where there is one channel
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
