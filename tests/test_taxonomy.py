"""The tree over the classes, and decisions that go as deep in it as they can."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.data.audit import Inspection, audit
from linnaea.data.sources.assembling import assemble
from linnaea.decisions import ROOT, Policy, decide, reasons
from linnaea.errors import DataError
from linnaea.task import TASKS, infer_task
from linnaea.taxonomy import Taxonomy

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PARENTS = {
    **dict.fromkeys(("bird", "frog", "mammal"), "animal"),
    **dict.fromkeys(("cat", "deer", "dog", "horse"), "mammal"),
    **dict.fromkeys(("airplane", "ship", "road"), "vehicle"),
    **dict.fromkeys(("automobile", "truck"), "road"),
}
TREE = Taxonomy.of(CLASSES, PARENTS)


@st.composite
def trees(draw):
    """Any tree: each node below an earlier one or at the top; some of them, the leaves among them, are classes."""
    n = draw(st.integers(3, 14))
    above = [draw(st.integers(-1, number - 1)) for number in range(n)]
    leaves = [number for number in range(n) if number not in above]
    inner = [number for number in range(n) if number in above and draw(st.booleans())]
    classes = draw(st.permutations([f"n{number}" for number in (*leaves, *inner)]).filter(lambda names: len(names) > 1))
    parents = {f"n{number}": f"n{parent}" for number, parent in enumerate(above) if parent >= 0}
    return Taxonomy.of(tuple(classes), parents), parents


def way_up(name, parents):
    way = [name]
    while way[-1] in parents:
        way.append(parents[way[-1]])
    return way


def test_nodes_are_the_classes_and_then_the_groups_from_the_top_down():
    assert TREE.nodes == (*CLASSES, "vehicle", "animal", "road", "mammal")
    assert (TREE.root, TREE.depth) == (ROOT, 3)
    assert TREE.depths.tolist() == [2, 3, 2, 3, 3, 3, 2, 3, 2, 3, 1, 1, 2, 2, 0]
    assert TREE.heights.tolist() == [0] * 10 + [2, 2, 1, 1, 3]
    assert TREE.ancestors("cat") == ("mammal", "animal", ROOT)
    assert TREE.ancestors(ROOT) == ()


def test_what_two_nodes_have_in_common():
    assert (TREE.common("cat", "dog"), TREE.distance("cat", "dog")) == ("mammal", 2)
    assert (TREE.common("cat", "frog"), TREE.distance("cat", "frog")) == ("animal", 3)
    assert (TREE.common("cat", "truck"), TREE.distance("cat", "truck")) == (ROOT, 6)
    assert (TREE.common("cat", "mammal"), TREE.distance("cat", "mammal")) == ("mammal", 1)
    assert (TREE.common("cat", "cat"), TREE.distance("cat", ROOT)) == ("cat", 3)
    with pytest.raises(DataError, match="'lynx' is neither a class nor a group"):
        TREE.distance("cat", "lynx")


def test_a_group_above_everything_is_the_root_and_what_lies_above_it_is_left_out():
    tree = Taxonomy.of(("cat", "dog", "frog"), {"cat": "mammal", "dog": "mammal", "mammal": "animal", "frog": "animal"})
    assert (tree.root, tree.nodes) == ("animal", ("cat", "dog", "frog", "mammal"))
    higher = Taxonomy.of(("cat", "dog", "frog"), {**dict(tree.parents), "animal": "thing", "thing": "all"})
    assert (higher.root, higher.nodes, higher.parents, higher.unused) == ("animal", tree.nodes, tree.parents, ())


def test_a_class_may_lie_anywhere_and_have_classes_below_it():
    tree = Taxonomy.of(("mammal", "mammal/cat", "stone"), {"mammal/cat": "mammal"})
    assert tree.nodes == ("mammal", "mammal/cat", "stone")
    assert tree.membership.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert [level.names for level in tree.levels] == [("mammal", "stone"), ("mammal", "mammal/cat", "stone")]
    whole = Taxonomy.of(("all", "all/a", "all/b"), {"all/a": "all", "all/b": "all"})
    assert (whole.root, whole.branches, whole.depths.tolist()) == ("all", False, [0, 1, 1, 0])


def test_names_that_no_class_lies_below_are_ignored_and_told():
    tree = Taxonomy.of(("cat", "dog"), {"cat": "mammal", "dog": "mammal", "carp": "fish", "fish": "animal"})
    assert tree.unused == ("carp", "fish", "animal")
    assert tree.nodes == ("cat", "dog")


def test_a_loop_is_refused_with_its_names():
    with pytest.raises(DataError, match="the taxonomy runs in a loop, 'cat' below 'pet' below 'cat'"):
        Taxonomy.of(("cat", "dog"), {"cat": "pet", "pet": "cat"})


def test_the_name_of_the_answer_that_says_nothing_is_kept_free():
    parents = {"a": "letter", "b": "letter"}
    with pytest.raises(DataError, match="'anything' is the name of a class or a group"):
        Taxonomy.of(("a", "b", ROOT), parents)
    assert Taxonomy.of(("a", "b", ROOT), {**parents, "letter": "all", ROOT: "all"}).root == "all"
    assert not Taxonomy.of(("a", ROOT), {}).branches


@pytest.mark.parametrize(
    ("classes", "parents", "task"),
    [
        ("abc", {"a": "x", "b": "x"}, "hierarchical"),
        ("abc", {"b": "a"}, "hierarchical"),
        ("abc", {"a": "x", "b": "x", "c": "x"}, "multiclass"),
        ("abc", {"a": "x", "b": "y", "c": "z"}, "multiclass"),
        ("abc", {"d": "x", "e": "x"}, "multiclass"),
        ("abc", {}, "multiclass"),
        ("ab", {"a": "x", "b": "x"}, "binary"),
    ],
)
def test_the_task_is_hierarchical_where_a_group_holds_several_classes_but_not_all(classes, parents, task):
    assert infer_task(tuple(classes), parents) == task


@settings(deadline=None)
@given(trees(), st.integers(0, 2**32 - 1))
def test_a_node_is_as_probable_as_its_classes_together(made, seed):
    tree, parents = made
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(tree.classes)), 5)
    nodes = probabilities @ tree.membership
    for place, node in enumerate(tree.nodes):
        held = [name == node or node in way_up(name, parents) for name in tree.classes]
        assert np.allclose(nodes[:, place], probabilities[:, held].sum(axis=1))
    assert all(np.allclose(level.sums(probabilities).sum(axis=1), 1) for level in tree.levels)
    topmost, lowest = tree.levels[0], tree.levels[-1]
    tops = [place for place, name in enumerate(topmost.names) if name != tree.root]  # a class, for itself, on each
    expected = nodes[:, [tree.index[topmost.names[place]] for place in tops]]
    assert np.allclose(topmost.sums(probabilities)[:, tops], expected)
    assert np.allclose(lowest.sums(probabilities), probabilities[:, [tree.index[name] for name in lowest.names]])


@settings(deadline=None)
@given(trees())
def test_distances_are_those_of_the_ways_up(made):
    tree, parents = made
    for a in tree.nodes:
        for b in tree.nodes:
            ways = way_up(a, parents), way_up(b, parents)
            shared = set(ways[0]) & set(ways[1])
            expected = sum(len(way) - len(shared) for way in ways)
            assert tree.distance(a, b) == tree.distance(b, a) == expected
            lowest = next((name for name in ways[0] if name in shared), tree.root)
            assert tree.common(a, b) == (lowest if lowest in tree.nodes else tree.root)
            assert (tree.common(a, b) == a) == (a == b or a in tree.ancestors(b))


@settings(deadline=None)
@given(trees(), st.integers(0, 2**32 - 1), st.floats(0.01, 1))
def test_an_answer_is_the_deepest_node_that_is_probable_enough(made, seed, threshold):
    tree, _ = made
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(len(tree.classes), 0.3), 20)
    decided = decide("hierarchical", tree.classes, probabilities, policy_of(tree, threshold))
    nodes = probabilities @ tree.membership
    for row, label in enumerate(decided.labels):
        own = np.append(nodes[row], 1.0)[tree.index[label]]
        assert own >= threshold - 1e-12 or label == tree.root
        if label != tree.root and threshold > 0.5:
            deeper = [name for name in tree.nodes if label in tree.ancestors(name)]
            assert not any(nodes[row, tree.index[name]] >= threshold + 1e-12 for name in deeper)
        if decided.confidence[row] < threshold:
            assert label == tree.root
            assert not (nodes[row, tree.depths[:-1] == 1] >= threshold + 1e-12).any()


@settings(deadline=None)
@given(trees(), st.integers(0, 2**32 - 1))
def test_an_answer_moves_up_as_more_is_asked_for(made, seed):
    tree, _ = made
    probabilities = np.random.default_rng(seed).dirichlet(np.full(len(tree.classes), 0.5), 20)
    thresholds = np.linspace(0, 1.1, 23)
    steps = [decide("hierarchical", tree.classes, probabilities, policy_of(tree, t)) for t in thresholds]
    assert steps[0].labels == [tree.classes[best] for best in probabilities.argmax(axis=1)]
    assert steps[-1].labels == [tree.root] * 20
    ways = [[(label, *tree.ancestors(label)) for label in step.labels] for step in steps]
    for before, after, threshold in zip(ways, ways[1:], thresholds, strict=False):
        for lower, higher in zip(before, after, strict=True):
            assert higher[0] in lower or threshold <= 0.5  # below one half it may change to another branch


def policy_of(tree, threshold):
    return Policy(parents=tree.parents, thresholds=(float(threshold),), confidence_threshold=float(threshold))


def test_what_is_not_even_probable_at_the_top_is_unsure():
    probabilities = np.zeros((3, 10))
    probabilities[0, [3, 5]] = 0.5  # cat or dog
    probabilities[1, [3, 9]] = 0.5  # cat or truck
    probabilities[2, 3] = 1
    policy = policy_of(TREE, 0.8)
    decided = decide("hierarchical", CLASSES, probabilities, policy)
    assert decided.labels == ["mammal", ROOT, "cat"]
    assert decided.confidence.tolist() == [1, 0.5, 1]
    assert reasons(decided.confidence, None, policy) == ["ok", "unsure", "ok"]
    assert decided.sets[0][:2] == ["cat", "dog"]


def test_without_a_threshold_the_answer_is_the_most_probable_class():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 50)
    decided = decide("hierarchical", CLASSES, probabilities, Policy(parents=TREE.parents))
    assert decided.labels == decide("multiclass", CLASSES, probabilities, Policy()).labels


def dataset(labels, taxonomy=None):
    columns = {"path": [f"{number}.png" for number in range(len(labels))], "label": labels}
    return assemble(columns, (), Path(), taxonomy=taxonomy)


def checked(data):
    found = audit(Inspection(data, np.arange(len(data))))
    return next((finding for finding in found if finding.name == "taxonomy"), None)


def test_paths_as_labels_make_a_hierarchical_dataset():
    data = dataset(["animal/cat", "animal/dog", "stone"] * 3)
    assert data.task == "hierarchical"
    assert TASKS[data.task].hierarchical
    assert data.tree.nodes == ("animal/cat", "animal/dog", "stone", "animal")
    assert data.with_taxonomy({}).task == "multiclass"
    assert data.with_taxonomy({}).tree.nodes == data.classes
    again = replace(data, taxonomy={}, task="multiclass").with_taxonomy(data.taxonomy)
    assert (again.task, again.tree.nodes) == (data.task, data.tree.nodes)


def test_the_audit_tells_whether_the_groups_fit_the_classes():
    assert checked(dataset(["cat", "dog", "stone"])) is None
    fine = checked(dataset(["cat", "dog", "stone"], {"cat": "pet", "dog": "pet"}))
    assert (fine.severity, fine.rows) == ("info", [{"name": "stone", "what": "a class in no group"}])
    assert "3 classes are below 1 group, at most 2 levels deep" in fine.summary
    spelt = checked(dataset(["cat", "dog", "stone"], {"Cat": "pet", "Dog": "pet"}))
    assert spelt.severity == "warning"
    assert "No group of the taxonomy contains several classes" in spelt.summary
    assert "are ignored: Cat, pet, Dog. Check that the names are spelt the same" in spelt.summary
