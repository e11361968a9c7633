"""Sphinx's settings: all files of the pages are local, so that they open from disk."""

project = "xbm-study"
html_title = project
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["attrs_inline"]
smartquotes = False

# The notebooks come executed.
nb_execution_mode = "off"
# Widgets would load their scripts from a network, and have no kernel to ask: images replace them.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

# The attributes of a class are described in its own docstring.
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["colours.css", "report.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
# A page opened from disk may not fetch another to quote it.
html_show_search_summary = False
