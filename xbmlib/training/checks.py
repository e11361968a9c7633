"""What has to hold before the first step: a protocol that can be measured, a run that fits."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from xbmlib.backbones import BACKBONES
from xbmlib.datasets import DatasetError, Images, ImageSet, Retrieval
from xbmlib.datasets.deferred import DeferredImages
from xbmlib.datasets.encoded import EncodedImages
from xbmlib.datasets.registry import RENDERED
from xbmlib.extras import require
from xbmlib.integers import as_labels, as_slots, whole_number
from xbmlib.training.callbacks.neighbours import TOP
from xbmlib.training.experiment import ConfigError, Experiment


def check_protocol(data: Retrieval) -> None:
    """Refuse a data set whose protocol would fail, or mean nothing, after the training.

    Raises:
        DatasetError: no training image or query; images or labels of another type or shape than
            :class:`ImageSet` has, or not as many of the ones as of the others; K that are not
            integers of at least 1, or none of 1; images of different channels or sizes; no query
            with a match; a test list of rows that are none of the queries', or of one image per
            class, which leaves no query to the protocol of one gallery image per class.
    """
    name, gallery = data.name, data.gallery
    parts = _parts(data)
    for part, images in parts.items():
        _check_images(f"{name}, {part}", images)
    for part, images in (("training image", data.train), ("query", data.query)):
        if not len(images):
            raise DatasetError(f"{name}: no {part}; give at least one")
    _check_ks(name, data.ks)
    channels = {images.channels for images in parts.values()}
    if len(channels) > 1:
        raise DatasetError(
            f"{name}: images of {' and '.join(map(str, sorted(channels)))} channels; give every "
            "part the same number"
        )
    sizes = {tuple(images.images.shape[2:]) for images in parts.values() if _in_memory(images)}
    if len(sizes) > 1:
        raise DatasetError(
            f"{name}: images of {' and '.join(f'{h}×{w}' for h, w in sorted(sizes))} pixels; give "
            "every part the same size"
        )
    if gallery is None:
        _check_matches(f"{name}, queries", data.query.labels)
    elif not set(data.query.classes.tolist()) & set(gallery.classes.tolist()):
        raise DatasetError(f"{name}: no query has an image of its class in the gallery")
    for part, rows in data.lists.items():
        _check_list(f"{name}, list {part!r}", rows, data.query)


def _parts(data: Retrieval) -> dict[str, Images]:
    found = {"training images": data.train, "queries": data.query}
    return found if data.gallery is None else found | {"gallery": data.gallery}


def _in_memory(images: Images) -> TypeGuard[ImageSet]:
    """Whether its pixels can be read at once: those of a bundled set are decoded only when used."""
    return isinstance(images, ImageSet) and not isinstance(images, DeferredImages)


def _check_images(what: str, images: Images) -> None:
    """What the run would stumble over at its end, or take for something else."""
    try:
        labels = as_labels("labels", images.labels)
    except ValueError as error:
        raise DatasetError(f"{what}: {error}") from None
    if labels.ndim != 1:
        raise DatasetError(f"{what}: labels of shape {tuple(labels.shape)}; give (n,)")
    if not _in_memory(images):
        return
    pixels = images.images
    if pixels.dtype != torch.uint8 or pixels.ndim != 4:
        raise DatasetError(
            f"{what}: images of {pixels.dtype} and shape {tuple(pixels.shape)}; give "
            "(n, C, H, W) uint8"
        )
    if len(pixels) != len(labels):
        raise DatasetError(
            f"{what}: {len(pixels):,} images and {len(labels):,} labels; give one for each image"
        )


def _check_ks(name: str, ks: Sequence[int]) -> None:
    try:
        found = [whole_number("ks", k, 1) for k in ks]
    except ValueError:
        found = []
    if 1 not in found:
        raise DatasetError(
            f"{name}: ks={tuple(ks)}: give integers of at least 1, among them 1, which R@1 needs"
        )


def _check_list(what: str, rows: Tensor, query: Images) -> None:
    """A test list: rows of the queries."""
    try:
        rows = as_slots("rows", rows)
    except ValueError as error:
        raise DatasetError(f"{what}: {error}") from None
    outside = rows[(rows < 0) | (rows >= len(query))]
    if rows.ndim != 1 or len(outside):
        raise DatasetError(
            f"{what}: rows of shape {tuple(rows.shape)}, {len(outside):,} of them outside 0 to "
            f"{len(query) - 1:,}; give (n,) rows of the queries"
        )
    _check_matches(what, query.labels[rows])


def _check_matches(what: str, labels: Tensor) -> None:
    """Leave-one-out, or one gallery image per class: some class has to have two images."""
    if len(labels) == len(labels.unique()):
        raise DatasetError(
            f"{what}: {len(labels):,} images and no two of one class, so that no query has a "
            "match; give at least two images of some class"
        )


def check_fit(e: Experiment, data: Retrieval, *, custom_model: bool = False) -> None:
    """Refuse an experiment that its data set cannot serve.

    Args:
        e: the experiment.
        data: the data set that it names.
        custom_model: whether a custom model takes the place of the backbone.

    Raises:
        ConfigError: another name than the data set's; another view than that by which its images
            are read; a memory smaller than the batch; a batch of
            more classes, or when shuffled of more images, than there are; a backbone for images of
            other channels; too few images for ``neighbours``.
        MissingExtra: ``neighbours`` without faiss.
    """
    if e.data != data.name:
        # Recorded with the run.
        raise ConfigError(
            f"data={e.data!r}, and the images are those of {data.name!r}: give "
            f"Experiment(data={data.name!r}, …)"
        )
    read = data.train.view.name if isinstance(data.train, EncodedImages) else None
    # By another view files would be cropped twice, and images in memory not at all.
    if (read and e.view != read) or (isinstance(data.train, ImageSet) and e.view != RENDERED):
        raise ConfigError(
            f"view={e.view!r}, and the images of {data.name} are read by {read or RENDERED!r}: "
            f"give Experiment(view={read or RENDERED!r}, …)"
        )
    n, classes = len(data.train), len(data.train.classes)
    e.memory_size(n)
    if e.sampler == "pk" and e.batch // e.k > classes:
        raise ConfigError(
            f"batch={e.batch} with k={e.k} takes more classes than the {classes} of {e.data}: "
            "give a smaller batch or a larger k"
        )
    if e.sampler == "shuffle" and e.batch > n:
        raise ConfigError(
            f'batch={e.batch} with sampler="shuffle": {e.data} has {n} training images; give a '
            f"batch of at most {n}"
        )
    known = BACKBONES[e.backbone].channels
    if not custom_model and data.train.channels not in known:
        fitting = [name for name, b in BACKBONES.items() if data.train.channels in b.channels]
        raise ConfigError(
            f'backbone="{e.backbone}" takes images of {" or ".join(map(str, known))} channels, '
            f"and those of {e.data} have {data.train.channels}: "
            + (f"give {' or '.join(fitting)}" if fitting else "no backbone takes them")
        )
    if e.neighbours:
        _check_neighbours(e, data)


def _check_neighbours(e: Experiment, data: Retrieval) -> None:
    found = len(data.query) - 1 if data.gallery is None else len(data.gallery)
    if found < TOP:
        raise ConfigError(
            f"neighbours={e.neighbours}: each query is given its {TOP} nearest images, and in "
            f"{data.name} it can find {found}; give neighbours=0"
        )
    if find_spec("faiss") is None:
        require("faiss", extra="faiss")


def check_checkpoint_steps(steps: int) -> None:
    """Refuse a number of steps between checkpoints that is no whole number of at least 1.

    Raises:
        ConfigError: it is.
    """
    try:
        whole_number("checkpoint_steps", steps, 1)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def check_folder(path: Path, what: str) -> None:
    """Refuse a file where a folder is to be written.

    Args:
        path: of the folder, which need not exist.
        what: it is, for the message.

    Raises:
        ConfigError: the path, or a folder above it, is a file, or no name that a folder can have.
    """
    for at in (path, *path.parents):
        try:
            is_file = at.exists() and not at.is_dir()
        except OSError as error:  # such as a name that is too long
            raise ConfigError(f"{what} {path}: {error.strerror}; give a folder") from None
        if is_file:
            raise ConfigError(f"{what} {path}: {at} is a file; give a folder")
