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
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = False  # the search and the page API find every name
html_domain_indices = False
highlight_language = "text"  # blocks that name no language are layouts and output

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signatures in the source say it; here they would drown the sentences
napoleon_google_docstring = False
nitpicky = False
