"""Pictures for the gallery: what a block of a vignette wrote under output/."""

import shutil
import time
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

# Figures of econllm are made without pyplot, where sphinx-gallery would look for them.
_looked = {"at": time.time()}


def written(block, block_vars, gallery_conf):
    """Copy the .png files written since the last block and give the lines that show them."""
    since, _looked["at"] = _looked["at"], time.time()
    files = sorted(Path(block_vars["src_file"]).parent.glob("output/*.png"), key=lambda file: file.stat().st_mtime)
    paths = [
        shutil.copy(file, path)
        for file, path in zip(
            (file for file in files if file.stat().st_mtime >= since), block_vars["image_path_iterator"], strict=False
        )
    ]
    return figure_rst(paths, gallery_conf["src_dir"])
