"""Verify that an image is reproducible: build it again without cache and compare the digests."""

from __future__ import annotations

import contextlib

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import buildx, saved_image
from odpm_tasks.core.image import difference
from odpm_tasks.errors import DriftError

TODO = "remove the cause and run the same command again; docs/image.md lists what is not reproducible"


def require_equal(first: str, second: str) -> None:
    """Check that two images of this engine have the same digest.

    Errors: DriftError that names the first layer that differs, the instruction that made it, and the files in it.
    """
    digests = [buildx.digest_and_size(image)[0] for image in (first, second)]
    if digests[0] == digests[1]:
        terminal.message(f"built again without cache: the same digest {digests[0]}")
        return
    with contextlib.ExitStack() as cleanup, terminal.activity() as show:
        show.note("image", "comparing both builds")
        folder = files.temporary_folder(cleanup, "odpm-verify-")
        archives = []
        for number, image in enumerate((first, second)):
            archive = folder / f"{number}.tar"
            with files.disk_errors(archive):
                buildx.save([image], archive)
            archives.append(saved_image.read(archive))
        one, two = archives
        layer = difference.different_layer((one.configuration, two.configuration), (one.layers, two.layers))
        if layer and layer.content:
            found = difference.different_files(*(_files(image, layer.index) for image in (one, two)))
            details = found or ("the same files in another order",)
        elif layer:
            details = ("the same files, packed in another way",)
        else:
            details = difference.different_settings(one.configuration, two.configuration)
    raise DriftError(
        "the image has another digest when it is built again without cache; it is not tagged",
        where=str(layer) if layer else "the configuration of the image",
        details=details or (f"{digests[0]} | {digests[1]}",),
        todo=TODO,
    )


def _files(image: saved_image.SavedImage, layer: int) -> dict[str, saved_image.FileFacts]:
    return image.files(layer) if layer < len(image.layers) else {}
