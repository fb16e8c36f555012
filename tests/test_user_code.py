"""Functions in files of the user."""

from __future__ import annotations

import pytest

from hybridopt._user_code import call_in_file
from hybridopt.errors import ArgumentError


def test_errors_of_a_function_are_shown_without_secrets(tmp_path):
    path = tmp_path / "account.py"
    path.write_text(
        "def executor():\n    raise RuntimeError('401: token=planted crn:v1:planted')\n"
    )
    with pytest.raises(
        ArgumentError, match=r"executor raised an error \(RuntimeError: 401"
    ) as caught:
        call_in_file("executor", path, "executor")
    assert "planted" not in str(caught.value)


def test_modules_beside_the_file_are_found(tmp_path):
    (tmp_path / "beside_user_code.py").write_text("VALUE = 5\n")
    file = tmp_path / "main.py"
    file.write_text("def make():\n    import beside_user_code\n    return beside_user_code.VALUE\n")
    assert call_in_file("network", file, "make") == 5
