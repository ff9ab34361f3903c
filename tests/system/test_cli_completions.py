"""The shells' completions name every verb and option that the command has."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging" / "completions"


def table(build):
    """Every word of a verb and every option, as the command's own help has them."""
    text = subprocess.run([build / "bin" / "streamhold", "help"], capture_output=True,
                          text=True, check=True).stdout
    verbs = re.findall(r"^  ([a-z]+(?: [a-z-]+)?) ", text.split("Options")[0], re.M)
    for verb in verbs:
        text += subprocess.run([build / "bin" / "streamhold", "help", *verb.split()],
                               capture_output=True, text=True, check=True).stdout
    words = {word for verb in verbs for word in verb.split()}
    return words, set(re.findall(r"--([a-z-]+) ", text)) & set(
        re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M))


@pytest.mark.parametrize("name", ["streamhold.bash", "_streamhold", "streamhold.fish"])
def test_completions_know_every_verb_and_option(build, name):
    text = (FOLDER / name).read_text()
    words, options = table(build)
    assert len(words) > 15 and len(options) > 15
    missing = {word for word in words if not re.search(rf"\b{word}\b", text)}
    mark = "-l " if name.endswith("fish") else "--"
    missing |= {option for option in options
                if not re.search(rf"{mark}{option}(?![a-z-])", text)}
    assert not missing


@pytest.mark.parametrize("line,offered,absent", [
    ("streamhold st", "status", "login"), ("streamhold app ", "remove", "kick"),
    ("streamhold app add ", "kick", "list"), ("streamhold login ki", "kick", "twitch"),
    ("streamhold status --ch", "--check", "--check-only"),
    ("streamhold up --check", "--check-only", "--client-id"),
    ("streamhold events list --in", "--include-foreign", "--after"),
    ("streamhold accounts --platform t", "twitch", "kick")])
def test_bash_offers_what_fits(line, offered, absent):
    script = f"""source {FOLDER}/streamhold.bash
line={line!r}
read -ra COMP_WORDS <<<"$line"
[[ $line == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_streamhold
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True,
                           check=True).stdout.split()
    assert offered in found and absent not in found
