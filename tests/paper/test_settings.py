"""Tests of the settings as their sources state them."""

import re

from xbmlib import paper


def test_the_differences_are_in_words_and_symbols():
    """Oracle: typed from the paper's Sections 3.3 and 4.1, and from the released code's files; what
    the paper does not state is in brackets.
    """
    table = paper.differences().set_index("setting")
    assert list(table.columns) == ["paper", "released code"]
    for setting, shown in {
        "network": ["GoogLeNet", "ResNet50"],
        "D": ["512", "128"],
        "K": ["[4]", "4"],
        "λ": ["[0.5]", "0.5"],
        "R_M, with M on SOP": ["1 (M = 59,551)", "0.924 (M = 55,000)"],
        "memory at its start": ["sampled features", "filled batch by batch"],
        "batch's loss, with memory": ["left out", "kept"],
        "weight of the memory's loss": ["[1]", "1"],
        "updates": ["[35,000]", "35,000"],
        "learning rate": ["[0.0001]", "0.0001"],
    }.items():
        assert table.loc[setting].tolist() == shown
    # Stated by both, and alike.
    assert not {"mini-batch", "weight decay", "updates before the memory joins"} & {*table.index}


def test_no_difference_is_left_out_or_raw():
    """Oracle: the fields of both sources themselves; no field's name, no float of many digits."""
    released, stated = (paper.SETTINGS[key] for key in ("released", "paper"))
    differing = [
        name
        for name, value in released.fields.items()
        if stated.fields[name] != value or name not in stated.stated
    ]
    table = paper.differences()
    assert len(table) == len(differing) > 10
    text = table.to_string()
    assert not re.search(r"\d\.\d{5}|[a-z]_[a-z]|True|False", text)
