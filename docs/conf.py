"""Options of Sphinx: `make docs` builds the site from these pages, the docstrings and the vignettes."""

import re
import sys
from pathlib import Path

import econllm

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for pictures.py

project = "econllm"
author = "The econllm developers"
copyright = author
release = version = econllm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/*.ipynb", "gallery/*.py"]
nitpicky = True
# `x` in docstrings is a name, not a title.
default_role = "literal"
highlight_language = "python"

# Pages: Markdown that reads well without Sphinx too.
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4

# Reference: types stand in the docstrings, so signatures stay short.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
# On file systems that ignore case, a class and a function of one name would share a page.
autosummary_filename_map = {f"econllm.{name}": f"econllm.{name}-function" for name in ("bootstrap", "mnlogit", "table")}
autosummary_filename_map["econllm.metrics.recalibration"] = "econllm.metrics.recalibration-function"

sphinx_gallery_conf = {
    "examples_dirs": "../vignettes",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("pictures.written",),
    "reset_modules": (),
    # Objects show themselves only where they are tables; the rest is printed.
    "capture_repr": ("_repr_html_",),
    "ignore_repr_types": r"matplotlib\.figure\.Figure",
    "download_all_examples": False,
    "notebook_extensions": set(),
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "econllm"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {"**": ["contents.html"]}
html_theme_options = {"navbar_center": [], "show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}


def add_contents(app, docname, source):
    """Turn the lists of pages of index.md into the tree of contents, section by section."""
    if docname != "index":
        return
    # A reader of the repository is led to the scripts, one of the site to what they print and draw.
    source[0] = source[0].replace("../vignettes/README.rst", "gallery/index.rst")
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE):
        caption = section.partition("\n")[0].strip()
        pages = re.findall(r"^- \[[^\]]+\]\(([\w/.-]+)\)", section, flags=re.MULTILINE)
        if pages:
            source[0] += "\n".join(["\n\n```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```\n"])


def setup(app):
    """Connect to Sphinx."""
    app.connect("source-read", add_contents)
