"""README and docs say only what is so: links, configuration keys, paths, limits, decisions."""
import ast
import re
import subprocess

import pytest

from tests.conftest import ROOT

PAGES = sorted({ROOT / "README.md", ROOT / "tests/fake/README.md", *ROOT.glob("docs/**/*.md")})
OWN_PAGES = [page for page in PAGES if page.name != "protocol.md"]

# What looks like "word.word" in backticks and is no key: file names, programs, versions.
ROOMS = ("httpd", "broker", "common", "proto", "tests", "packaging", "docs")


def name_of(page):
    return str(page.relative_to(ROOT))


def text_of(page):
    return page.read_text(encoding="utf-8")


def without_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)


def anchor(heading):
    """The fragment that a heading gets on the usual forges."""
    heading = re.sub(r"[`*]", "", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


def links(page):
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", without_blocks(text_of(page)))


def wrong_links(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield link
        elif fragment and fragment not in {
                anchor(line.lstrip("#")) for line in without_blocks(text_of(target)).splitlines()
                if line.startswith("#")}:
            yield link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page):
    assert not list(wrong_links(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_labels_that_are_paths_name_their_target(page):
    """A link that shows a path leads there."""
    wrong = [(label, link) for label, link in re.findall(
        r"\[([\w./\-]+\.(?:md|yaml|def|c|h))\]\(([^)\s]+)\)", without_blocks(text_of(page)))
        if not link.split("#")[0].endswith(label)]
    assert not wrong


def sections():
    return set(re.findall(r"^OPTION_SECTION\((\w+),", options(), re.M)) | {"platforms"}


def options():
    return (ROOT / "common/options.def").read_text()


def keys():
    """Every key of the configuration, as a person writes it."""
    table = options()
    found = {f"{section}.{name}" for section, name in re.findall(
        r"^OPTION_(?:NUMBER|FLAG|TEXT|URL|PATH|ENUM|LIST|SUBSCRIPTIONS)\((\w+), (\w+),",
        table, re.M)}
    of_platform = re.findall(r"OPTION_(?:URL|LIST|PATH)\(platform, (\w+),", table)
    platforms = re.findall(r"^OPTION_PLATFORM\(\w+, (\w+),", table, re.M)
    assert "server.port" in found and "api_url" in of_platform and "kick" in platforms
    return found | {f"platforms.{platform}.{name}" for platform in [*platforms, "<p>"]
                    for name in of_platform}


def keys_in(text):
    """What stands in backticks, with a dot, and begins like a section of the options."""
    names = sections()
    return {found for found in re.findall(r"`([a-z_]+(?:\.[a-z_<>]+)+)`", without_blocks(text))
            if found.split(".")[0] in names
            and not found.endswith((".c", ".h", ".md", ".def", ".py", ".sock", ".json"))}


@pytest.mark.parametrize("page", OWN_PAGES, ids=name_of)
def test_configuration_keys_exist(page):
    assert not keys_in(text_of(page)) - keys()


def test_keys_are_found_at_all():
    assert keys_in("`server.port` `server.prot` `store.c`") == {"server.port", "server.prot"}
    assert len(set().union(*(keys_in(text_of(page)) for page in OWN_PAGES))) > 15


def paths_in(text):
    """Paths of the tree in backticks, and their parts of the form folder/{a,b}.h."""
    for found in re.findall(r"`([\w./\-<>*]+/[\w./\-<>*]*)`", text):
        if found.split("/")[0] in ROOMS:
            yield found


def exists(path):
    if "<" in path or "*" in path:
        return any(ROOT.glob(re.sub(r"<\w+>", "*", path)))
    return (ROOT / path).exists()


@pytest.mark.parametrize("page", OWN_PAGES, ids=name_of)
def test_paths_exist(page):
    assert not [path for path in paths_in(without_blocks(text_of(page))) if not exists(path)]


def test_source_tour_is_there_and_long_enough():
    tour = text_of(ROOT / "README.md").split("## Source tour")[1].split("\n## ")[0]
    assert len(list(paths_in(tour))) >= 10


def test_every_decision_is_linked():
    linked = {link.split("#")[0] for page in ("architecture.md", "hacking.md")
              for link in links(ROOT / "docs" / page)}
    written = {f"decisions/{page.name}" for page in (ROOT / "docs/decisions").glob("*.md")}
    assert len(written) > 5
    assert not written - linked


def test_decisions_named_in_comments_exist():
    named = set()
    for room in ROOMS[:4]:
        for file in (ROOT / room).rglob("*.[ch]"):
            named |= set(re.findall(r"docs/[\w/.\-]+\.md", file.read_text()))
    named.discard("docs/protocol.md")
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


def value_of(expression):
    """An integer constant of a header: numbers, products, shifts, sums."""
    tree = ast.parse(re.sub(r"(?<=\d)[uUlL]+", "", expression), mode="eval")
    allowed = (ast.Expression, ast.BinOp, ast.Constant, ast.Mult, ast.Add, ast.Sub, ast.LShift)
    assert all(isinstance(node, allowed) for node in ast.walk(tree)), expression
    return eval(compile(tree, "header", "eval"))    # noqa: S307 - checked above


def limits():
    return re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| (\d+) \| `([\w/.]+)` \|",
                      text_of(ROOT / "docs/architecture.md"), re.M)


def test_limits_have_the_values_of_the_headers():
    wrong = []
    for name, value, path in limits():
        found = re.search(rf"^#define {name} (.+?)(?:/\*.*)?$", (ROOT / path).read_text(), re.M)
        if not found or value_of(found.group(1).strip()) != int(value):
            wrong.append((name, value, found and found.group(1)))
    assert len(limits()) > 20
    assert not wrong


@pytest.mark.parametrize("page", OWN_PAGES, ids=name_of)
def test_verbs_exist(page):
    """`streamhold VERB ...` in backticks or in a block names a verb of the table."""
    verbs = re.findall(r'^\t\{ "([\w -]+)",', (ROOT / "broker/cli/verbs.c").read_text(), re.M)
    assert "up" in verbs
    typed = re.findall(r"`streamhold ([a-z]+(?: [a-z-]+)?)", text_of(page))
    typed += re.findall(r"^(?:\$ |sudo )?(?:build/bin/)?streamhold ([a-z]+(?: [a-z-]+)?)",
                        text_of(page), re.M)
    # `app` alone stands for its verbs.
    halves = {verb.split()[0] for verb in verbs}
    wrong = [words for words in typed if words not in verbs and words not in halves
             and words.split()[0] not in verbs]
    assert not wrong


def test_routes_that_pages_name_are_served():
    """`GET /path` in backticks is a row of the route table."""
    table = (ROOT / "httpd/route.c").read_text()
    rows = {(method, re.sub(r":\w+", ":", path)) for method, path in
            re.findall(r"\{ HTTP_([A-Z]+), \"([^\"]+)\"", table)}
    wrong = []
    for page in OWN_PAGES:
        for method, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[\w/:\-]*)", text_of(page)):
            if (method, re.sub(r":\w+", ":", path)) not in rows and "/_control" not in path:
                wrong.append((name_of(page), method, path))
    assert len(rows) > 10
    assert not wrong


def test_programs_of_the_readme_can_be_run():
    listed = subprocess.run(["git", "ls-files", "-s", "packaging/quickstart", "tests/run"],
                            cwd=ROOT, capture_output=True, text=True)
    text = text_of(ROOT / "README.md")
    for program in ("packaging/quickstart", "tests/run"):
        assert program in text
        assert (ROOT / program).stat().st_mode & 0o111, f"{program} cannot be run"
    assert listed.returncode != 0 or "100644" not in listed.stdout


@pytest.mark.parametrize("page", OWN_PAGES, ids=name_of)
def test_code_blocks_are_closed(page):
    assert len(re.findall(r"^```", text_of(page), re.M)) % 2 == 0


def test_tunnel_recipes_of_the_readme_are_those_of_their_page():
    """One recipe, shown twice, must not become two."""
    def block(page, language):
        return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.S | re.M)
    readme, tunnels = ROOT / "README.md", ROOT / "docs/tunnels.md"
    for language in ("yaml", "caddy"):
        assert block(readme, language) and block(readme, language) == block(tunnels, language)
    short, = ({line.strip() for line in one.splitlines()} for one in block(readme, "nginx"))
    full, = ({line.strip() for line in one.splitlines()} for one in block(tunnels, "nginx"))
    assert len(short) > 5 and short <= full
