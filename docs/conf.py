"""Configuration of the documentation site (`make docs`).

The source folder is the root of the checkout, so that pages, lessons and the gallery of circuits
keep their places and their links hold on the site as in the repository. No step needs a network.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

import hybridopt  # noqa: E402

logging.getLogger("qiskit").setLevel(logging.WARNING)  # transpilers report each pass

project = "hybridopt"
author = "The hybridopt developers"
copyright = "The hybridopt developers, Apache-2.0"  # noqa: A001
release = version = hybridopt.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "hybridopt_site",
    "command_options",
    "public_names",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "circuits/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
# pruned folders are not even listed
exclude_patterns = [".*", "hybridopt", "tests", "results", "build", "dist", "site", "docs/_*"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"

autodoc_default_options = {
    "members": True,
    "inherited-members": "Module, Optimizer, BaseException, object",  # up to these classes
    "show-inheritance": True,
    "exclude-members": "extra_repr",
}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
default_role = "py:obj"
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "hybridopt"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_extra"]  # index.html of the site's root
html_math_renderer = "mathml"
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
