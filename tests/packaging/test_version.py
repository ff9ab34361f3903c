"""The version that packaging/version makes of tags and commits, and how it sorts."""
import os
import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

PERSON = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
          for what, value in (("NAME", "A"), ("EMAIL", "a@b.invalid"))}


class Clone:
    """A repository with nothing but what the version is made from."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "packaging").mkdir(parents=True)
        shutil.copy(ROOT / "packaging/version", folder / "packaging/version")
        (folder / "CMakeLists.txt").write_text("project(streamhold VERSION 0.1.0 LANGUAGES C)\n")
        self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.commit()

    def git(self, *words):
        hidden = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        return subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True,
                              text=True, env={**os.environ, **PERSON, **hidden}).stdout.strip()

    def commit(self, times=1):
        for _ in range(times):
            self.git("commit", "-q", "--allow-empty", "-m", "x")

    def words(self):
        return said_by(self.folder).split()

    def version(self):
        return self.words()[0]


def said_by(folder):
    return subprocess.run([folder / "packaging/version"], check=True, capture_output=True,
                          text=True).stdout


def rpm_compares(one, other):
    """-1, 0 or 1, as rpm sorts them."""
    found = subprocess.run(["rpm", "--eval", f'%{{lua: print(rpm.vercmp("{one}", "{other}"))}}'],
                           check=True, capture_output=True, text=True)
    return int(found.stdout)


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path / "clone")


def test_without_a_tag_it_comes_before_the_project_s(clone):
    clone.commit(2)
    short = clone.git("rev-parse", "--short=7", "HEAD")
    assert clone.words() == [f"0.1.0~dev3.g{short}", clone.git("rev-parse", "HEAD"),
                             clone.git("log", "-1", "--format=%ct")]


def test_a_tag_is_the_version_and_commits_after_it_count(clone):
    clone.git("tag", "v1.2.3")
    assert clone.version() == "1.2.3"
    clone.commit(12)
    assert clone.version() == f"1.2.3+12.g{clone.git('rev-parse', '--short=7', 'HEAD')}"
    clone.git("tag", "-a", "-m", "annotated", "v1.3.0")
    assert clone.version() == "1.3.0"
    clone.git("tag", "something-else")
    assert clone.version() == "1.3.0"


def test_a_candidate_comes_before_its_release(clone):
    clone.git("tag", "v1.2.3-rc1")
    assert clone.version() == "1.2.3~rc1"
    clone.commit()
    assert re.fullmatch(r"1\.2\.3~rc1\+1\.g[0-9a-f]{7}", clone.version())


def test_a_release_of_a_candidate_s_own_commit_is_the_release(clone):
    for tag in ("v1.2.3", "v1.2.3-rc1", "v1.2.3-rc10", "v1.2.3-rc2"):
        clone.git("tag", tag)
    assert clone.version() == "1.2.3"
    clone.commit()
    assert clone.version().startswith("1.2.3+1.g")
    clone.git("tag", "v1.2.4-rc2")
    clone.git("tag", "v1.2.4-rc10")
    assert clone.version() == "1.2.4~rc10"


def test_a_change_is_told_and_a_new_file_is_none(clone):
    clone.git("tag", "v1.2.3")
    (clone.folder / "left-over").write_text("x")
    assert clone.version() == "1.2.3"
    (clone.folder / "CMakeLists.txt").write_text("project(streamhold VERSION 0.1.0 LANGUAGES C) # x\n")
    assert clone.version() == "1.2.3+changed"
    clone.git("commit", "-q", "-a", "-m", "x")
    (clone.folder / "CMakeLists.txt").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        clone.version()


@pytest.mark.parametrize("place", ["elsewhere", "clone/within"])
def test_an_archive_has_the_project_s_and_no_commit(clone, tmp_path, place):
    """Also when it lies in a repository of somebody else's."""
    clone.git("tag", "v1.2.3")
    folder = tmp_path / place
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], check=True, input=subprocess.run(
        ["git", "archive", "HEAD"], cwd=clone.folder, check=True, capture_output=True).stdout)
    assert said_by(folder) == "0.1.0 unknown 0\n"


def test_dpkg_and_rpm_sort_them_as_they_came_to_be(clone):
    found = [clone.version()]
    clone.commit(10)
    found.append(clone.version())
    for tag, after in (("v0.1.0-rc1", 2), ("v0.1.0-rc2", 0), ("v0.1.0", 2), (None, 8),
                       ("v0.1.1", 0), ("v0.2.0-rc1", 1), ("v0.2.0", 0), ("v0.10.0", 0)):
        if tag:
            clone.commit()
            clone.git("tag", tag)
            found.append(clone.version())
        if after:
            clone.commit(after)
            found.append(clone.version())
    (clone.folder / "CMakeLists.txt").write_text("project(streamhold VERSION 0.1.0 LANGUAGES C) # x\n")
    found.append(clone.version())
    assert len(found) == len(set(found)) == 14, found
    for earlier, later in zip(found, found[1:]):
        subprocess.run(["dpkg", "--compare-versions", earlier, "lt", later], check=True)
        assert rpm_compares(earlier, later) == -1, (earlier, later)
