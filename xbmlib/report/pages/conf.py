"""Sphinx's settings: all files of the pages are local, so that they open from disk."""

project = "xbm-study"
html_title = project
extensions = ["myst_nb"]
myst_enable_extensions = ["attrs_inline"]
smartquotes = False

# The notebooks come executed.
nb_execution_mode = "off"
# Widgets would load their scripts from a network.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["colours.css", "report.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
# A page opened from disk may not fetch another to quote it.
html_show_search_summary = False
