"""Tests of the settings that a search has chosen: damaged files and values out of range."""

import json

import pytest

from xbmlib.storage import StorageError
from xbmlib.study import profiles, protocol
from xbmlib.study.profiles import PROFILES
from xbmlib.training.experiment import ConfigError

FULL = PROFILES["full"]


def by_protocol(**changes):
    """A run by protocol.json."""
    return protocol.experiment(FULL, **{"batch": 16, "seed": 0, "ratio": 1.0} | changes)


def by_search(**changes):
    """A run by tuned.json."""
    return profiles.experiment(FULL, **{"batch": 16, "seed": 0, "ratio": 1.0} | changes)


# Each reader with its module, the name of its file there, and a function that takes from the file.
FILES = {
    "protocol": (protocol, "CHOSEN_FILE", protocol.chosen_settings, by_protocol),
    "tuned": (profiles, "TUNED_FILE", profiles.tuned_settings, by_search),
}


def changed(change):
    """A damage: the committed entries after a change of the first of them."""

    def text(committed):
        entries = json.loads(committed)
        change(entries[0])
        return json.dumps(entries)

    return text


def settings_of(entry):
    """The settings of an entry, or the first of them."""
    found = entry["settings"]
    return found[0] if isinstance(found, list) else found


DAMAGED = {
    "empty": lambda committed: "",
    "cut": lambda committed: committed[: len(committed) // 2],
    "no list": lambda committed: '{"a": 1}',
    "of numbers": lambda committed: "[1, 2]",
    "null": lambda committed: "null",
    "nothing chosen": lambda committed: "[]",
    "foreign": lambda committed: '[{"name": "x"}]',
    "nested deeply": lambda committed: "[" * 100_000,
    "twice": lambda committed: json.dumps(json.loads(committed)[:1] * 2),
    "a doubled key": lambda committed: committed.replace('"batch": 16,', '"batch": 16,' * 2, 1),
    "no settings": changed(lambda entry: entry.pop("settings")),
    "empty settings": changed(lambda entry: settings_of(entry).clear()),
    "settings that are no object": changed(lambda entry: entry.update(settings=3)),
    "batch 0": changed(lambda entry: entry.update(batch=0)),
    "batch of text": changed(lambda entry: entry.update(batch="16")),
    "no batch": changed(lambda entry: entry.pop("batch")),
    "lr of text": changed(lambda entry: settings_of(entry).update(lr="4e-4")),
    "lr of 0": changed(lambda entry: settings_of(entry).update(lr=0)),
    "lr of NaN": changed(lambda entry: settings_of(entry).update(lr=float("nan"))),
    "unknown setting": changed(lambda entry: settings_of(entry).update(lrr=1.0)),
    "settings of the run itself": changed(lambda entry: settings_of(entry).update(batch=64)),
    "steps among the settings": changed(lambda entry: settings_of(entry).update(steps=64)),
    "a later start of text": changed(lambda entry: settings_of(entry).update(warm_up="x")),
}


@pytest.mark.parametrize("damage", [*DAMAGED, "missing", "a folder", "not UTF-8"])
@pytest.mark.parametrize("reader", FILES)
def test_a_damaged_file_is_named(reader, damage, tmp_path, monkeypatch):
    """Oracle: one line with the file's path and the command that writes it anew."""
    module, name, read, take = FILES[reader]
    committed = getattr(module, name).read_text()
    file = tmp_path / getattr(module, name).name
    if damage == "a folder":
        file.mkdir()
    elif damage == "not UTF-8":
        file.write_bytes(b"\xff\xfe[]")
    elif damage != "missing":
        file.write_text(DAMAGED[damage](committed))
    monkeypatch.setattr(module, name, file)
    read.cache_clear()
    try:
        with pytest.raises(StorageError) as caught:
            take()
    finally:
        read.cache_clear()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{file}: ") and "python -m xbmlib.study.search" in line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "hanzy"}, "data='hanzy': profile full runs on hanzi, emoji, hangul"),
        ({"data": ""}, "data='': profile full runs on hanzi"),
        ({"data": 3}, "data=3: profile full runs on hanzi"),
        ({"batch": 0}, "batch=0: input should be greater than or equal to 2"),
        ({"batch": -4}, "batch=-4: input should be"),
        ({"batch": 15}, "batch=15 with k="),
        ({"batch": "16"}, "batch='16': input should be a valid integer"),
        ({"batch": None}, "batch=None: input should be"),
        ({"batch": 1 << 70}, "batch=1180591620717411303424: input should be"),
        ({"ratio": -0.1}, "ratio=-0.1: input should be"),
        ({"ratio": 1.1}, "ratio=1.1: input should be"),
        ({"ratio": float("nan")}, "ratio=nan: input should be"),
        ({"ratio": "1"}, "ratio='1': input should be"),
        ({"seed": -1}, "seed=-1: input should be"),
        ({"seed": 1 << 64}, "seed=18446744073709551616: input should be"),
        ({"foo": 1}, "foo=1: no such hyper-parameter"),
    ],
)
@pytest.mark.parametrize("run", [by_protocol, by_search])
def test_an_argument_out_of_range_is_named(run, changes, message):
    """Oracle: the argument's name, its value and the remedy, whatever it is looked up by first."""
    with pytest.raises(ConfigError) as caught:
        run(**changes)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(message)


def test_an_unknown_loss_or_rank_is_named():
    """Oracle: the known losses; as many ranks as the search keeps."""
    for profile in ("full", "paper"):
        with pytest.raises(ConfigError, match="loss='contrast': input should be 'contrastive'"):
            protocol.experiment(PROFILES[profile], 16, seed=0, ratio=0.0, loss="contrast")
    for rank in (0, -1, 4, "1"):
        with pytest.raises(ConfigError, match=f"rank={rank!r}: give an integer from 1 to 3"):
            by_search(rank=rank)
    with pytest.raises(StorageError, match="space 'fre'.*its spaces: .*free, multi_similarity"):
        by_search(space="fre")
