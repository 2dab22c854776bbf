from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grindstone.digest import canonical_json, digest, digest_tree

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.slow
@given(st.dictionaries(st.text(), json_values))
def test_the_order_of_keys_does_not_matter(value: dict):
    backwards = dict(reversed(value.items()))
    assert digest(value) == digest(backwards)


def test_a_value_without_a_json_spelling_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_a_tree_is_its_names_contents_and_executable_bits(tmp_path: Path):
    def tree(name: str, text: str, mode: int, folder: str) -> str:
        root = tmp_path / folder
        (root / "sub").mkdir(parents=True)
        (root / "sub" / name).write_text(text)
        (root / "sub" / name).chmod(mode)
        return digest_tree(root)

    same = tree("run.sh", "echo", 0o755, "a")
    assert same == tree("run.sh", "echo", 0o700, "b")
    assert same != tree("run.sh", "echo!", 0o755, "c")
    assert same != tree("run.sh", "echo", 0o644, "d")
    assert same != tree("walk.sh", "echo", 0o755, "e")


def test_links_count_by_their_target_and_are_not_followed(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("one")
    root = tmp_path / "tree"
    root.mkdir()
    (root / "link").symlink_to(secret)
    before = digest_tree(root)
    secret.write_text("two")
    assert digest_tree(root) == before
    (root / "link").unlink()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert digest_tree(root) != before
