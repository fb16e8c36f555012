"""The extension of the site: entries of all public names, references, formulas, drawings."""

from __future__ import annotations

import io
import pkgutil
import re

import pytest

import hybridopt
from hybridopt.cli.entry import COMMANDS
from tests.docs.code_blocks import ROOT

pytest.importorskip("sphinx", reason="the oldest versions of the ranges are tested without Sphinx")
PRIVATE = {"cli", "__main__"}  # a program
PAGE = r"""
# Page

`save` and `unknown`, $\theta_0$

$$ a &= b \\ c &= d $$

![Angles & "weights"](pictures/memory.svg)

```{public-names} hybridopt.storage
```
"""


@pytest.fixture(scope="module")
def public_names():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs" / "_ext")
        import public_names

        yield public_names


@pytest.fixture
def command_options(monkeypatch, public_names):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    import command_options

    return command_options


@pytest.fixture(scope="module")
def site(public_names, tmp_path_factory):
    """Return page and warnings of a site with one page, which has one module only."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    root = tmp_path_factory.mktemp("site")
    pictures = root / "docs" / "pictures"
    pictures.mkdir(parents=True)
    drawing = (ROOT / "docs" / "pictures" / "memory.svg").read_text("utf-8")
    (pictures / "memory.svg").write_text(drawing, "utf-8")
    (root / "docs" / "index.md").write_text(PAGE, "utf-8")
    options = {
        "extensions": ["myst_nb", "sphinx.ext.autodoc", "hybridopt_site", "public_names"],
        "myst_enable_extensions": ["dollarmath"],
        "html_math_renderer": "mathml",
        "root_doc": "docs/index",
        "default_role": "py:obj",
        "nb_execution_mode": "off",
    }
    warnings, out = io.StringIO(), root / "out"
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            root, None, out, out / ".doctrees", "html", options, status=None, warning=warnings
        )
        app.build()
    return (out / "docs" / "index.html").read_text("utf-8"), warnings.getvalue()


def test_every_module_has_a_page(public_names):
    modules = {module.name for module in pkgutil.iter_modules(hybridopt.__path__)}
    public = {name for name in modules if not name.startswith("_")} - PRIVATE
    assert set(public_names.MODULES) == public
    pages = {path.stem: path.read_text("utf-8") for path in (ROOT / "docs/api").glob("*.md")}
    for name in public:
        assert f"{{public-names}} hybridopt.{name}\n" in pages[name]
    assert set(pages) == {*public, "index"}


def test_missing_names(public_names):
    every = public_names.missing_names(set())
    assert {"hybridopt.fit", "hybridopt.bridges.Memory", "hybridopt.errors.DataError"} <= set(every)
    assert "hybridopt.compare.compare" not in every  # its entry is `hybridopt.compare`
    assert public_names.missing_names(set(every) - {"hybridopt.fit"}) == ["hybridopt.fit"]


def test_missing_names_are_warnings(site):
    missing = set(re.findall(r"without an entry: ([\w.]+)", site[1]))
    assert "hybridopt.fit" in missing
    assert not missing & {"hybridopt.save", "hybridopt.load"}


def test_entries_and_references(site):
    page, _ = site
    assert page.count('id="hybridopt.save"') == 1
    assert "Save a quantum network" in page
    assert re.search(r'href="#hybridopt.save"[^>]*><code[^>]*>(<[^>]*>)*save', page)
    assert not re.search(r"href=[^>]*unknown", page)


def test_formulas_need_no_script(site):
    page, _ = site
    assert page.count("<math") == 2
    assert re.search(r"<msub>\s*<mi>&#x003B8;</mi>\s*<mn>0</mn>", page)
    assert len(re.findall("<mtr", page)) == 2  # two aligned lines
    assert not re.search(r'<(?:script|link|img)[^>]* (?:src|href)="https?:', page)


def test_drawings_are_part_of_the_page(site):
    page, _ = site
    assert page.count('<svg role="img" aria-label="Angles &amp; &quot;weights&quot;"') == 1
    assert "prefers-color-scheme" not in page


def test_options_of_commands(command_options):
    page = (ROOT / "docs" / "howto" / "command_line.md").read_text("utf-8")
    assert re.findall(r"{command-options} (\w+)", page) == list(COMMANDS)
    options = command_options.options_of("train")
    assert options["--epochs"].endswith("Default: ``5``.")
    assert "``mlp:64-20-10``" in options["--network"]
    assert "--help" not in options
    assert "name_or_file" in command_options.options_of("circuits")
