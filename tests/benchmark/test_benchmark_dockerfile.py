"""A Dockerfile's lines are read as the builder reads them, however they are written."""

import pytest

from grindstone.dockerfile import instructions

BODY_ENDS = {
    "a word in quotes is no document": 'FROM a\nRUN echo "<<EOF"\nADD x /x\nEOF y\n',
    "nor one that begins in a word": "FROM a\nRUN x<<EOF\nADD x /x\nEOF y\n",
    "nor a here-string": "FROM a\nRUN cat <<<EOF\nADD x /x\nEOF y\n",
    "nor what stands behind a lonely quote": "FROM a\nRUN echo it's <<EOF\nADD x /x\nEOF y\n",
    "an escaped escape does not continue": "FROM a\nRUN echo \\\\\nADD x /x\n",
    "an indented end is none": "FROM a\nRUN <<A\n A\nRUN <<B\nA\nADD x /x\nB\n",
    "the escape may be the second directive": "# a=b\n# escape=`\nFROM a\nRUN b \\\nADD `\nx /x\n",
    "and not stand behind an empty line": "\n# escape=`\nFROM a\nRUN echo `\nADD x /x\n",
    "a feed of form ends no line": "FROM a\nADD\fx /x\n",
    "a mark of byte order is no name": "\ufeff# escape=`\nFROM a\nADD `\nx /x\n",
    "a lonely CR ends no line": "FROM a\nADD x\r/x\n",
    "ONBUILD has documents too": "FROM a\nONBUILD RUN <<A\nFROM b\nA\nADD x /x\n",
}


@pytest.mark.parametrize("text", BODY_ENDS.values(), ids=BODY_ENDS)
def test_an_instruction_is_seen_where_the_builder_sees_one(text: str) -> None:
    found = [each for each in instructions(text) if each.keyword == "ADD"]
    assert [each.value.split() for each in found] == [["x", "/x"]]
    assert [each.keyword for each in instructions(text)].count("FROM") == 1


def test_a_document_hides_what_it_holds_from_who_knows_documents_alone() -> None:
    text = "FROM a\nRUN <<-'A b' cat\n\tADD x /x\n\tA b\nLABEL c=d\n"
    assert [each.keyword for each in instructions(text)] == ["FROM", "RUN", "LABEL"]
    assert "ADD" in [each.keyword for each in instructions(text, documents=False)]
