"""A registry: members found in a folder, read without importing them, once each, in a defined order; and plugins."""

import importlib
import subprocess
import sys
import textwrap

import pytest

from linnaea.errors import UsageError
from linnaea.learning.losses import LOSSES
from linnaea.registry import Registry, families, family, listing
from linnaea.registry.index import family_in
from linnaea.registry.source import read

CONTRACT = """
    from linnaea.registry import Registry

    FRUITS: Registry[str] = Registry("fruit", "{package}.fruits")
"""
APPLE = """
    from {package}.fruits.contract import FRUITS

    FRUITS.register("apple", title="An apple", meaning="Grows on trees.", cost="minutes", sweet=True)("crisp")
"""
BERRY = """
    raise RuntimeError("never imported")
    from {package}.fruits import contract as family

    family.FRUITS.register("straw" "berry", cost="seconds")("red")
    family.FRUITS.register("banana", order=9)("long")
"""
PLUM = """
    import {package}.fruits.contract


    @{package}.fruits.contract.FRUITS.register("plum")
    def plum() -> str:
        {package}.fruits.contract.FRUITS.register("not at the top")("")
"""


@pytest.fixture
def garden(tmp_path, monkeypatch, request):
    """Writes modules of a package of this test's own, and gives its registry of fruits."""
    package = f"garden_{abs(hash(request.node.nodeid))}"
    monkeypatch.syspath_prepend(tmp_path)

    def plant(**modules):
        folder = tmp_path / package / "fruits"
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder.parent, folder):
            (place / "__init__.py").write_text("")
        for name, text in {"contract": CONTRACT, **modules}.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text.format(package=package)))
        return importlib.import_module(f"{package}.fruits.contract").FRUITS

    yield plant
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def test_members_registered_while_running_keep_their_order():
    registry: Registry[int] = Registry("number")
    assert registry.register("two")(2) == 2
    registry.register("one", title="One", meaning="The first number.")(1)
    assert list(registry) == ["two", "one"]
    assert list(registry.items()) == [("two", 2), ("one", 1)]
    assert len(registry) == 2
    assert "one" in registry
    assert "three" not in registry
    assert registry["one"] == 1
    assert (registry.about("one").title, registry.about("one").meaning) == ("One", "The first number.")
    assert registry.about("one").module == __name__


def test_an_unknown_name_is_answered_with_the_known_ones_and_a_suggestion():
    registry: Registry[int] = Registry("colour")
    registry.register("green")(1)
    with pytest.raises(UsageError, match=r"unknown colour 'gren': expected one of green\. Did you mean 'green'\?"):
        registry["gren"]
    with pytest.raises(UsageError, match=r"unknown colour 'zzz': expected one of green\.$"):
        registry["zzz"]


def test_a_name_is_given_once():
    registry: Registry[int] = Registry("number")
    registry.register("one")(1)
    with pytest.raises(UsageError, match="already registered"):
        registry.register("one")(1)
    assert registry["one"] == 1


def test_a_folder_is_read_without_importing_its_members(garden):
    registry = garden(apple=APPLE, berry=BERRY, plum=PLUM)
    assert list(registry) == ["banana", "plum", "strawberry", "apple"]  # by order, then by cost
    assert "strawberry" in registry
    assert len(registry) == 4
    told = registry.about("apple")
    assert (told.title, told.meaning, told.cost, dict(told.capabilities)) == (
        "An apple",
        "Grows on trees.",
        "minutes",
        {"sweet": True},
    )
    assert told.origin == "linnaea"
    assert told.module.endswith(".fruits.apple")
    assert registry.about("strawberry").title == "strawberry"
    with pytest.raises(UsageError, match=r"unknown fruit 'aple': expected one of .* Did you mean 'apple'"):
        registry["aple"]
    assert told.module not in sys.modules


def test_only_the_module_of_the_member_asked_for_is_imported(garden):
    registry = garden(apple=APPLE, berry=BERRY)
    assert registry["apple"] == "crisp"
    with pytest.raises(RuntimeError, match="never imported"):
        registry["strawberry"]


def test_two_files_that_give_one_name_are_refused(garden):
    registry = garden(apple=APPLE, other=APPLE)
    with pytest.raises(UsageError, match=r"a fruit named 'apple' is already registered in .*fruits\.apple"):
        list(registry)


def test_a_name_of_the_folder_cannot_be_taken_while_running(garden):
    registry = garden(apple=APPLE)
    with pytest.raises(UsageError, match=r"'apple' is already registered in .*fruits\.apple"):
        registry.register("apple")("mine")
    registry.register("pear", order=1)("soft")
    assert list(registry.items()) == [("pear", "soft"), ("apple", "crisp")]


def test_what_was_registered_while_running_is_known_to_its_family():
    losses = family_in("loss", "linnaea.learning.losses")
    with LOSSES.restored():
        LOSSES.register("zero", tasks=("binary",))(lambda logits, targets, context: 0 * logits.sum(dim=1))
        assert losses.about("zero").capabilities == {"tasks": ("binary",)}
        assert "zero" in losses.known
    assert list(losses.known) == list(losses.members) == list(LOSSES)
    with pytest.raises(UsageError, match="unknown loss 'zero'"):
        losses.about("zero")


def test_what_was_registered_within_is_forgotten_and_what_was_imported_stays(garden):
    registry = garden(apple=APPLE)
    with registry.restored():
        registry.register("pear")("soft")
        assert registry["apple"] == "crisp"
    assert list(registry.items()) == [("apple", "crisp")]


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("FRUITS.register('a' + NAME)(1)", "must be written out"),
        ("FRUITS.register()(1)", "must be written out"),
        ("FRUITS.register('a', cost='days')(1)", "the cost 'days': expected one of None, 'seconds'"),
        ("FRUITS.register('a', title=3)(1)", "title and a meaning as text"),
    ],
)
def test_what_cannot_be_read_is_refused(garden, call, fault):
    registry = garden(bad="from {package}.fruits.contract import FRUITS\n" + call)
    with pytest.raises(UsageError, match=fault):
        list(registry)


def test_a_registry_outside_its_folder_is_refused():
    with pytest.raises(UsageError, match=r'no file in linnaea\.runtime says NAME = Registry."nothing"'):
        list(Registry("nothing", "linnaea.runtime"))


def test_a_relative_import_is_followed(garden):
    registry = garden(
        near="from .contract import FRUITS\nFRUITS.register('near')(1)",
        far="from ..fruits import contract\ncontract.FRUITS.register('far')(2)",
        foreign="from elsewhere import FRUITS\nFRUITS.register('foreign')(3)",
    )
    assert list(registry) == ["far", "near"]


@pytest.mark.parametrize("noun", list(families()))
def test_the_index_is_what_importing_registers(noun):
    found = family(noun)
    registry = getattr(importlib.import_module(found.module), found.variable)
    assert isinstance(registry, Registry)
    assert (registry.family, registry.package) == (noun, found.package)
    for _ in registry.items():
        pass
    own = {name: told for name, told in registry._told.items() if told.module.partition(".")[0] == "linnaea"}
    assert own == dict(found.members), "tests may have members of their own"
    assert [name for name, _ in registry.items() if name in own] == list(found.members)


@pytest.mark.parametrize("noun", list(families()))
def test_every_member_has_a_title_and_says_in_one_line_what_it_does(noun):
    for told in family(noun).members.values():
        assert told.title, told.name
        assert "\n" not in told.meaning
        assert told.meaning.endswith("."), f"{told.name} means {told.meaning!r}: expected a sentence"


def test_an_unknown_family_is_answered_with_a_suggestion():
    with pytest.raises(UsageError, match=r"there is no family 'splitters': expected one of .* Did you mean 'splitter'"):
        family("splitters")


def test_the_listing_names_every_member_of_every_family():
    lines = str(listing()).splitlines()
    for found in families().values():
        at = next(place for place, line in enumerate(lines) if line.startswith(f"{found.title} ({found.noun})."))
        told = lines[at + 1 : at + 1 + len(found.members)]
        assert [line.split("  ")[1] for line in told] == list(found.members)
        assert all(one.meaning in line for one, line in zip(found.members.values(), told, strict=True))
    assert str(listing("splitter")) in str(listing())
    assert "Takes seconds." in str(listing("check"))
    assert [one["name"] for one in listing("splitter").to_json()["splitter"]] == list(family("splitter").members)
    with pytest.raises(UsageError, match=r"there is no family 'chek': expected one of .* Did you mean 'check'"):
        listing("chek")


def test_a_file_that_has_nothing_to_do_with_families_is_not_parsed(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def (")
    assert read("broken", path).registrations == ()
    path.write_text("X.register( def (")
    with pytest.raises(SyntaxError):
        read.__wrapped__("broken", path)


class TestPlugins:
    """Packages on the path of a fresh interpreter, each with an entry point."""

    def install(self, folder, name, module, files):
        metadata = folder / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[linnaea.plugins]\n{name} = {module}\n")
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(textwrap.dedent(text))

    def run(self, folder, code):
        started = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{textwrap.dedent(code)}"]
        done = subprocess.run(started, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done

    MEMBER = """
        from linnaea.data.splits.contract import SPLITTERS

        @SPLITTERS.register("by_hand", title="By hand", meaning="As somebody wrote it down.")
        def by_hand(deal):
            raise NotImplementedError
    """

    def test_its_members_are_listed_and_loaded(self, tmp_path):
        self.install(tmp_path, "hands", "hands.inner", {"hands/__init__.py": "1 / 0", "hands/inner.py": self.MEMBER})
        listed = """
            from linnaea.registry import family
            told = family("splitter").about("by_hand")
            assert told.origin == "hands" and told.title == "By hand", told
            from linnaea.registry import listing
            assert "  by_hand     By hand     As somebody wrote it down. From the plugin hands." in str(listing())
            assert "numpy" not in sys.modules and "hands" not in sys.modules
        """
        self.run(tmp_path, listed)
        (tmp_path / "hands" / "__init__.py").write_text("")
        loaded = """
            from linnaea.data.splits.contract import SPLITTERS
            assert SPLITTERS["by_hand"].__name__ == "by_hand"
            assert SPLITTERS.about("by_hand").origin == "hands"
        """
        self.run(tmp_path, loaded)

    @pytest.mark.parametrize(
        ("files", "fault"),
        [
            ({}, "no module 'hands'"),
            ({"hands.py": "X.register( def ("}, "invalid syntax"),
            (
                {"hands.py": "from linnaea.data.splits import SPLITTERS\nSPLITTERS.register(str(3))(4)"},
                "must be written out",
            ),
            ({"hands.py": MEMBER.replace("by_hand", "time")}, "a splitter named 'time' is already registered"),
        ],
    )
    def test_one_that_cannot_be_read_is_warned_about_and_left_out(self, tmp_path, files, fault):
        self.install(tmp_path, "hands", "hands", files)
        told = self.run(tmp_path, "from linnaea.registry import family; print(*family('splitter').members)")
        assert "hands" in told.stderr
        assert fault in told.stderr
        assert told.stdout.split() == ["time", "iterative", "stratified"]

    def test_one_that_cannot_be_imported_is_warned_about_and_left_out(self, tmp_path):
        self.install(tmp_path, "hands", "hands", {"hands.py": f"{self.MEMBER}\n        1 / 0\n"})
        code = """
            from linnaea.data.splits.contract import SPLITTERS
            print(*[name for name, _ in SPLITTERS.items()])
            try:
                SPLITTERS["by_hand"]
            except ValueError as error:
                print(error)
        """
        told = self.run(tmp_path, code)
        assert told.stdout.splitlines() == [
            "time iterative stratified",
            "the splitter 'by_hand' of the plugin hands cannot be imported: division by zero",
        ]
        assert "the plugin hands cannot be imported: division by zero It is left out." in told.stderr

    def test_a_family_may_live_in_a_plugin(self, tmp_path):
        contract = 'from linnaea.registry import Registry\nATTACKS = Registry("attack", "hands.attacks")'
        member = 'from .contract import ATTACKS\nATTACKS.register("fgsm", title="FGSM", meaning="One step.")("step")'
        files = {"hands/__init__.py": "", "hands/attacks/contract.py": contract, "hands/attacks/fgsm.py": member}
        self.install(tmp_path, "hands", "hands", {**files, "hands/attacks/__init__.py": ""})
        code = """
            from linnaea.registry import families, family
            assert families()["attack"].origin == "hands"
            assert family("attack").about("fgsm").origin == "hands"
            from hands.attacks.contract import ATTACKS
            assert list(ATTACKS.items()) == [("fgsm", "step")]
        """
        assert self.run(tmp_path, code).stderr == ""
