"""Small trees of real JPEG files in the layouts of the published data sets.

Each function makes one in a folder and returns that folder, which XBM_DATA is to name. Images of a
class look alike: one coarse pattern of colours per class, with noise on top of it.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from xbmlib.datasets.published import DISK

# First line of Ebay_train.txt and Ebay_test.txt.
SOP_HEAD = "image_id class_id super_class_id path\n"


def photo(label, image, size=(140, 120)):
    """An image (width, height) of a class, a function of the arguments alone."""
    coarse = np.random.default_rng(label).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    pattern = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    noise = np.random.default_rng([label, image]).normal(0, 20, pattern.shape)
    return Image.fromarray((pattern + noise).clip(0, 255).astype(np.uint8))


def write_photo(path, label, image, size=(140, 120)):
    """Write one as JPEG; every fourth is greyscale, every fifth upright."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = photo(label, image, size[::-1] if image % 5 == 4 else size)
    (made.convert("L") if image % 4 == 3 else made).save(path, "JPEG", quality=90)


def sop_tree(folder, classes=6, images=4):
    """Stanford Online Products; the first half of the classes trains."""
    root, number = Path(folder) / "Stanford_Online_Products", 0
    rows = {"train": [SOP_HEAD.strip()], "test": [SOP_HEAD.strip()]}
    for label in range(1, classes + 1):
        for image in range(images):
            number += 1
            path = f"bicycle_final/{label:06}_{image}.JPG"
            write_photo(root / path, label, image)
            part = "train" if label <= classes // 2 else "test"
            rows[part].append(f"{number} {label} 1 {path}")
    for part, lines in rows.items():
        (root / f"Ebay_{part}.txt").write_text("\n".join(lines) + "\n")
    return Path(folder)


def inshop_tree(folder, classes=6, images=4, lists="Eval", folder_of_images="img"):
    """In-shop; of a test class the first half of the images are queries."""
    root, rows = Path(folder) / "In-shop", []
    for label in range(1, classes + 1):
        for image in range(images):
            path = f"WOMEN/Dresses/id_{label:08}/{image:02}_1_front.jpg"
            write_photo(root / folder_of_images / path, label, image)
            part = "query" if image < images // 2 else "gallery"
            part = "train" if label <= classes // 2 else part
            rows.append(f"img/{path}        id_{label:08} {part}")
    head = [str(len(rows)), "image_name item_id evaluation_status"]
    (root / lists).mkdir(parents=True, exist_ok=True)
    (root / lists / "list_eval_partition.txt").write_text("\n".join([*head, *rows]) + "\n")
    return Path(folder)


def vehicleid_tree(folder, classes=8, images=3, lists="train_test_split"):
    """VehicleID; half of the classes trains. Of the other half the small list has the first, medium
    the first two but the first image of each, large all but the first.
    """
    root, half = Path(folder) / "VehicleID_V1.0", classes // 2
    rows = {"train_list": [], "test_list_800": [], "test_list_1600": [], "test_list_2400": []}
    for label in range(1, classes + 1):
        for image in range(images):
            name = f"{label:04}{image:03}"
            write_photo(root / "image" / f"{name}.jpg", label, image)
            test = label - half
            held = {
                "train_list": test <= 0,
                "test_list_800": test == 1,
                "test_list_1600": test in (1, 2) and image > 0,
                "test_list_2400": test > 1,
            }
            for list_, has in held.items():
                if has:
                    rows[list_].append(f"{name} {label}")
    (root / lists).mkdir(parents=True, exist_ok=True)
    for list_, lines in rows.items():
        (root / lists / f"{list_}.txt").write_text("\n".join(lines) + "\n")
    return Path(folder)


def cub_tree(folder, classes=6, images=4):
    """CUB-200-2011, half of the classes from 1 on, the others from 101 on."""
    root, names, labels = Path(folder) / "CUB_200_2011", [], []
    for i in range(classes):
        label = i + 1 if i < classes // 2 else i - classes // 2 + 101
        for image in range(images):
            path = f"{label:03}.Some_Bird/Some_Bird_{image:04}_{label}.jpg"
            write_photo(root / "images" / path, label, image)
            names.append(f"{len(names) + 1} {path}")
            labels.append(f"{len(labels) + 1} {label}")
    (root / "images.txt").write_text("\n".join(names) + "\n")
    (root / "image_class_labels.txt").write_text("\n".join(labels) + "\n")
    return Path(folder)


def cars_tree(folder, classes=6, images=4):
    """Cars-196, half of the classes from 1 on, the others from 99 on."""
    root, rows = Path(folder) / "Cars-196", []
    for i in range(classes):
        label = i + 1 if i < classes // 2 else i - classes // 2 + 99
        for image in range(images):
            path = f"car_ims/{len(rows) + 1:06}.jpg"
            write_photo(root / path, label, image)
            rows.append((path, 1, 1, 99, 99, label, image % 2))
    fields = ["relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test"]
    annotations = np.array([rows[i] for i in range(len(rows))], [(name, "O") for name in fields])
    savemat(root / "cars_annos.mat", {"annotations": annotations})
    return Path(folder)


TREES = {
    "sop": sop_tree,
    "inshop": inshop_tree,
    "vehicleid": vehicleid_tree,
    "cub": cub_tree,
    "cars": cars_tree,
}


def damageable(name, tmp_path, monkeypatch, **layout):
    """A fresh tree, which XBM_DATA names; returns the data set's own folder."""
    TREES[name](tmp_path, **layout)
    monkeypatch.setenv("XBM_DATA", str(tmp_path))
    return tmp_path / DISK[name].folders[0]


def paths_of(images):
    """Paths of images within the data set's folder, as the tree made them."""
    return [images.path(i).relative_to(images.root).as_posix() for i in range(len(images))]
