"""Every public name has an entry in the API reference."""

from __future__ import annotations

import io
import pkgutil
import re

import pytest

import hybridopt
from tests.docs.code_blocks import ROOT

pytest.importorskip("sphinx", reason="the oldest versions of the ranges are tested without Sphinx")
PRIVATE = {"cli", "__main__"}  # a program


@pytest.fixture
def public_names(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    import public_names

    return public_names


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


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_a_site_without_entries_warns(public_names, tmp_path):
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    (tmp_path / "index.md").write_text("# Page\n\n```{public-names} hybridopt.storage\n```\n")
    options = {"extensions": ["myst_nb", "sphinx.ext.autodoc", "public_names"]}
    warnings, out = io.StringIO(), tmp_path / "out"
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            tmp_path, None, out, out / ".doctrees", "html", confoverrides=options,
            status=None, warning=warnings,
        )  # fmt: skip
        app.build()
    missing = set(re.findall(r"without an entry: ([\w.]+)", warnings.getvalue()))
    assert "hybridopt.fit" in missing
    assert not missing & {"hybridopt.save", "hybridopt.load"}
    html = (out / "index.html").read_text("utf-8")
    assert html.count('id="hybridopt.save"') == 1
    assert "Save a quantum network" in html
