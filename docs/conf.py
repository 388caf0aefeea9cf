"""Settings of the documentation site; see contributing.md."""
from dora_mm.version import __version__

project = 'dora_mm'
author = 'The dora_mm contributors'
copyright = author
version = release = __version__

extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
html_theme = 'furo'
html_title = 'dora_mm'
exclude_patterns = ['images', 'notebooks/work_dirs']

# The pages are read on GitHub too, where headings have such anchors.
myst_heading_anchors = 4

# The notebooks are kept without outputs and run with each build, in the order
# of their names: the later ones use what the first one writes.
nb_execution_mode = 'force'
nb_execution_raise_on_error = True
nb_execution_timeout = 900  # seconds for a cell
nb_output_stderr = 'remove'  # warnings of the packages that they import

# Docstrings name the types, so that signatures stay short.
autodoc_typehints = 'none'
autodoc_member_order = 'bysource'
napoleon_numpy_docstring = False

# Names of other packages are not looked up: that would take a network.
nitpicky = True
nitpick_ignore_regex = [('py:.*', r'(?!dora_mm\.).*')]


def link_by_last_name(app, env, node, contnode):
    """Link a name of dora_mm that lacks its module, or has another's.

    Docstrings name a class without its module, and packages show what their
    modules define.
    """
    domain = env.get_domain('py')
    name = node.get('reftarget', '').rpartition('.')[2]
    found = [full for full in domain.objects if full.endswith(f'.{name}')]
    if node.get('refdomain') != 'py' or len(found) != 1:
        return None
    return domain.resolve_xref(env, node['refdoc'], app.builder,
                               node['reftype'], found[0], node, contnode)


def setup(app):
    """Called by Sphinx."""
    app.connect('missing-reference', link_by_last_name)
