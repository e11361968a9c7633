"""The published data sets: the layouts that their users have on disk, and their counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xbmlib.datasets import cars, cub, inshop, sop, vehicleid
from xbmlib.datasets.files import ImageFiles
from xbmlib.datasets.images import DatasetError
from xbmlib.datasets.listing import Listing
from xbmlib.datasets.paths import is_file, is_folder
from xbmlib.datasets.views import View
from xbmlib.paper import PROTOCOLS, Part

# Names the folder that holds the data sets.
VARIABLE = "XBM_DATA"


@dataclass(frozen=True)
class DiskSet:
    """A published data set in a folder of its own.

    Attributes:
        title: its full name.
        folders: names that its folder may have, the usual one first.
        files: its list files, for each the paths at which it may be.
        images: paths at which the folder of its images may be; "" is the data set's own folder.
        read: from the list files, and the folder of the images, to the listing.
        ks: the K of R@K.
        published: images and classes of each part.
        layout: the contents that its folder should have.
        source: where to download it.
        note: on the published counts, for a message.
    """

    title: str
    folders: tuple[str, ...]
    files: tuple[tuple[str, ...], ...]
    images: tuple[str, ...]
    read: Callable[[list[Path], str], Listing]
    ks: tuple[int, ...]
    published: dict[str, Part]
    layout: str
    source: str
    note: str = ""

    def folder(self, base: Path) -> Path:
        """The data set's folder: one of ``folders`` in ``base``, or ``base`` itself.

        Raises:
            DatasetError: none holds the lists; states what is missing and the expected layout.
        """
        tried = [base / name for name in self.folders if is_folder(base / name)] or [base]
        if tried != [base]:
            tried.append(base)
        for folder in tried:
            if all(_first(folder, places) for places in self.files):
                return folder
        missing = [places[0] for places in self.files if not _first(tried[0], places)]
        raise DatasetError(
            f"{tried[0]}: holds no {self.title}: {', '.join(missing)} missing. Put it into "
            f"{VARIABLE}={base} as {' or '.join(f'{name}/' for name in self.folders)}, or set "
            f"{VARIABLE} to its own folder; it should hold {self.layout}. Source: {self.source}"
        )

    def listing(self, folder: Path) -> Listing:
        """The listing from the list files in the data set's folder.

        Raises:
            DatasetError: a list that is unreadable or contradicts itself.
        """
        found = [_first(folder, places) for places in self.files]
        images = next((at for at in self.images if is_folder(folder / at)), self.images[0])
        return self.read([file for file in found if file is not None], images)

    def loose(self, folder: Path, listing: Listing, view: View) -> ImageFiles:
        """The images as separate files.

        Raises:
            DatasetError: the first training image or the first query is missing; the others are
                looked up when they are read.
        """
        images = ImageFiles(folder, listing.paths, listing.labels, view)
        for part in (listing.parts.train, listing.parts.query):
            if not is_file(path := images.path(int(part[0]))):
                raise DatasetError(
                    f"{path}: missing, though the lists name it; {folder} should hold "
                    f"{self.layout}. Source of {self.title}: {self.source}"
                )
        return images


def _first(folder: Path, places: tuple[str, ...]) -> Path | None:
    return next((folder / at for at in places if is_file(folder / at)), None)


def _published(name: str) -> dict[str, Part]:
    return {"train": PROTOCOLS[name].train, **PROTOCOLS[name].test}


DISK = {
    "sop": DiskSet(
        "Stanford Online Products",
        ("Stanford_Online_Products", "SOP", "sop"),
        sop.FILES,
        ("",),
        sop.read,
        PROTOCOLS["SOP"].ks,
        _published("SOP"),
        "Ebay_train.txt, Ebay_test.txt and the folders bicycle_final/ … toaster_final/",
        "https://cvgl.stanford.edu/projects/lifted_struct/ (Stanford_Online_Products.zip)",
    ),
    "inshop": DiskSet(
        "In-shop Clothes Retrieval",
        ("In-shop", "In-shop Clothes Retrieval Benchmark", "inshop"),
        inshop.FILES,
        ("img", "Img/img", "img_highres", "Img/img_highres"),
        inshop.read,
        PROTOCOLS["In-shop"].ks,
        _published("In-shop"),
        "list_eval_partition.txt (or Eval/ or Anno/ with it) and img/ (or img_highres/)",
        "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html",
    ),
    "vehicleid": DiskSet(
        "PKU VehicleID",
        ("VehicleID_V1.0", "VehicleID", "vehicleid"),
        vehicleid.FILES,
        ("image",),
        vehicleid.read,
        PROTOCOLS["VehicleID"].ks,
        _published("VehicleID"),
        "train_test_split/ with train_list.txt and test_list_800.txt, _1600 and _2400, and image/",
        "https://www.pkuml.org/resources/pku-vehicleid.html, on request",
        vehicleid.VERSIONS,
    ),
    "cub": DiskSet(
        "CUB-200-2011",
        ("CUB_200_2011", "CUB-200-2011", "cub"),
        cub.FILES,
        ("images",),
        cub.read,
        (1, 2, 4, 8),
        {"train": Part(5_864, 100), "test": Part(5_924, 100)},
        "images.txt, image_class_labels.txt and images/",
        "https://data.caltech.edu/records/65de6-vp158 (CUB_200_2011.tgz)",
    ),
    "cars": DiskSet(
        "Cars-196",
        ("Cars-196", "CARS196", "cars196", "stanford_cars", "cars"),
        cars.FILES,
        ("car_ims",),
        cars.read,
        (1, 2, 4, 8),
        {"train": Part(8_054, 98), "test": Part(8_131, 98)},
        "cars_annos.mat and car_ims/",
        "http://ai.stanford.edu/~jkrause/cars/car_dataset.html (car_ims.tgz, cars_annos.mat)",
    ),
}
