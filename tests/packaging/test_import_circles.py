"""No module imports, over whatever others, one that imports it; what only types need counts."""

import grimp
import networkx as nx


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """The groups of modules that import one another."""
    imports = nx.DiGraph(
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    )
    return [sorted(each) for each in nx.strongly_connected_components(imports) if len(each) > 1]


def test_there_is_none():
    assert circles(grimp.build_graph("grindstone")) == []


def test_one_would_be_found():
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert circles(graph) == [["a", "b", "c"]]
