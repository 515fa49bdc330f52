import pytest

from econllm.errors import OptionError
from econllm.files import replacing, write_text


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path):
    target = tmp_path / "table.tex"
    write_text(target, "old")

    def interrupted():
        with replacing(target) as draft:
            draft.write_text("half of the n")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.tex"]


def test_the_folder_must_exist_before_anything_is_written(tmp_path):
    with pytest.raises(OptionError, match=r"the folder .*absent.* does not exist"):
        write_text(tmp_path / "absent" / "table.tex", "x")
    with pytest.raises(OptionError, match="is a folder"):
        write_text(tmp_path, "x")


def test_text_is_written_as_it_is(tmp_path):
    write_text(tmp_path / "a.txt", "é\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\nb\n".encode()
