"""Every source over every malformed file: each mistake is named with its place, and the good rows are all there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from malformed_files import Malformed, malformed_files

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError, FtkitError
from ftkit.registry import find, names

FILES = malformed_files()


def read(file: Malformed, path: Path) -> list[Batch]:
    path.write_bytes(file.content)
    component = find("sources", file.source)
    return list(
        component.function(component.config_type.model_validate({"path": str(path), **file.options}), Context())
    )


def test_there_are_at_least_120_files_over_all_formats_and_each_has_a_name_of_its_own() -> None:
    assert len(FILES) >= 120
    assert {file.source for file in FILES} == set(names("sources")) - {"hub"}
    assert max(Counter(file.name for file in FILES).values()) == 1


@pytest.mark.parametrize("file", [file for file in FILES if file.good], ids=lambda file: file.name)
def test_a_malformed_row_is_a_fault_with_its_line_and_the_good_rows_are_all_read(
    file: Malformed, tmp_path: Path
) -> None:
    path = tmp_path / file.name
    batches = read(file, path)
    faults = {place: reason for batch in batches for place, reason in batch.faults.items()}
    ids = [name for batch in batches for name in batch.table["id"]]
    assert file.message is not None
    assert file.message in faults[f"{path}:{file.line}"]
    assert len(ids) == len(set(ids)) == file.good
    assert all(len(reason) < 300 and "\n" not in reason for reason in faults.values())


@pytest.mark.parametrize("file", [file for file in FILES if not file.good], ids=lambda file: file.name)
def test_what_is_wrong_with_a_whole_file_is_an_error_that_names_it(file: Malformed, tmp_path: Path) -> None:
    path = tmp_path / file.name
    try:
        batches = read(file, path)
    except FtkitError as error:
        assert isinstance(error, DataError)
        assert str(path) in str(error)
        assert f"{path}:{file.line}" in str(error)
        assert (file.message or "") in str(error)
        assert all(len(line) < 500 for line in str(error).splitlines())
    else:
        assert file.message is None, "read as if nothing were wrong with it"
        assert sum(batch.table.height for batch in batches) > 0
