"""A Dockerfile as its instructions, as far as ours use the language."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOCKER = Path(__file__).resolve().parents[2] / "docker"
FILES = sorted(path for path in DOCKER.iterdir() if "Dockerfile" in path.name)

VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")


@dataclass(frozen=True)
class Step:
    """An instruction and what follows it, on one line, not expanded."""

    word: str
    text: str
    line: int


@dataclass
class Stage:
    """What FROM begins: the image or stage below, and the steps on top."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, word: str) -> str | None:
        """What the last instruction of that kind says."""
        return next((step.text for step in reversed(self.steps) if step.word == word), None)


def read(path: Path, arguments: Mapping[str, str] | None = None) -> dict[str, Stage]:
    """The stages of a Dockerfile, by name, in order; `arguments` are those of the build."""
    known: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for step in steps(path.read_text()):
        if step.word == "FROM":
            base, *named = expand(step.text, known).split()
            stage = Stage(base, named[-1] if named else "")
            stages[stage.name] = stage
        elif stages:
            stage.steps.append(step)
        elif step.word == "ARG":
            name, default = argument(step.text)
            known[name] = (arguments or {}).get(name, default)
    return stages


def steps(text: str) -> Iterator[Step]:
    """Join continued lines, and leave comments out."""
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            word, _, rest = " ".join(part.strip() for part in parts).partition(" ")
            yield Step(word, rest.strip(), number + 1 - len(parts))
            parts = []


def argument(text: str) -> tuple[str, str]:
    """Name and default of an ARG."""
    name, _, default = text.partition("=")
    return name, default


def pairs(text: str, known: Mapping[str, str]) -> dict[str, str]:
    """What ENV or LABEL sets."""
    split = (word.partition("=") for word in shlex.split(text))
    return {name: expand(value, known) for name, _, value in split}


def expand(text: str, known: Mapping[str, str]) -> str:
    """Put in the values of variables, as Docker does outside RUN."""

    def value(match: re.Match[str]) -> str:
        bare, braced, sign, word = match.groups()
        found = known.get(bare or braced, "")
        if sign == "-":
            return found or expand(word, known)
        return (expand(word, known) if found else "") if sign == "+" else found

    return VARIABLE.sub(value, text)


def command(text: str | None) -> list[str]:
    """The words of a CMD or ENTRYPOINT in its JSON form."""
    return list(json.loads(text)) if text else []


def needed(stages: Mapping[str, Stage], target: str) -> list[Stage]:
    """The stages that a target is made of, in order, itself the last."""
    wanted = {target}
    for stage in reversed(stages.values()):
        if stage.name in wanted:
            wanted |= {stage.base, *_copied_from(stage.steps)}
    return [stage for stage in stages.values() if stage.name in wanted]


def _copied_from(listed: Iterable[Step]) -> Iterator[str]:
    for step in listed:
        if step.word == "COPY":
            yield from re.findall(r"--from=(\S+)", step.text)


def lineage(stages: Mapping[str, Stage], target: str) -> list[Stage]:
    """A stage and those below it, the lowest first: whose settings the image has."""
    stage = stages[target]
    return [*(lineage(stages, stage.base) if stage.base in stages else ()), stage]
