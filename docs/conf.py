"""How the site is built: `make docs`."""

import pcm_leukemia

project = "pcm-leukemia"
author = "The pcm-leukemia developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
version = release = pcm_leukemia.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pcm-leukemia"

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signatures in the source say it; here they would drown the sentences
napoleon_google_docstring = False
nitpicky = False
