"""A folder that stands for an image, and what the instructions of a Dockerfile do to it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.docker.dockerfile import DOCKER, Step, argument, command, expand, pairs

CONTEXT = DOCKER.parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CA_FILE = "/tmp/try_steps_ca.crt"  # in the root that is tried
INTO_ROOT = """mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
exec chroot --userspec="$1" "$0" env -i -C "$2" "${@:3}"
"""
SAYS_ONLY = ("LABEL", "EXPOSE")  # and does nothing


class Root:
    """A folder with the system of a stage, and what its steps have set."""

    def __init__(self, folder: Path, ca_file: Path | None) -> None:
        """`ca_file` is the authority of a proxy that pip is to trust."""
        self.folder, self.ca_file = folder, ca_file
        self.env = {"PATH": PATH}
        self.arguments: dict[str, str] = {}
        self.user, self.workdir = "0", "/"
        self.commands: dict[str, list[str]] = {"ENTRYPOINT": [], "CMD": [], "HEALTHCHECK": []}

    def copy_to(self, folder: Path) -> Root:
        """A root for the next stage."""
        subprocess.run(["cp", "-a", self.folder, folder], check=True)
        other = Root(folder, self.ca_file)
        other.env, other.user, other.workdir = dict(self.env), self.user, self.workdir
        other.commands = dict(self.commands)
        return other

    def start(self, words: list[str], **more: Any) -> subprocess.Popen[bytes]:
        """Start a program in the root, as its user; it and what it starts end together."""
        env = self.env | self.arguments | {"HOME": self._home()}
        if self.ca_file:
            shutil.copyfile(self.ca_file, self.folder / CA_FILE[1:])
            env["PIP_CERT"] = CA_FILE
        settings = [f"{name}={value}" for name, value in env.items()]
        inside = ["bash", "-c", INTO_ROOT, str(self.folder), self.user, self.workdir]
        unshared = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return subprocess.Popen([*unshared, *inside, *settings, *words], **more)

    def run(self, text: str) -> None:
        """Run a step; what it wrote is shown when it fails."""
        start = time.monotonic()
        process = self.start(["sh", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        written, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{written.decode()[-4000:]}\nthe step failed: {process.returncode}")
        print(f"      {time.monotonic() - start:.0f} s", flush=True)

    def do(self, step: Step, built: Mapping[str, Root], given: Mapping[str, str]) -> None:
        """Do what an instruction says; `built` are the stages, `given` the arguments."""
        known = self.env | self.arguments
        if step.word == "RUN":
            self.run(step.text)
        elif step.word == "COPY":
            self.copy(expand(step.text, known).split(), built)
        elif step.word in self.commands:
            self.commands[step.word] = command(step.text.rpartition("CMD ")[2])
        elif step.word not in SAYS_ONLY:
            self.set(step, known, given)

    def set(self, step: Step, known: Mapping[str, str], given: Mapping[str, str]) -> None:
        """Do an instruction that changes the steps after it."""
        if step.word == "ENV":
            self.env |= pairs(step.text, known)
        elif step.word == "ARG":
            name, default = argument(step.text)
            self.arguments[name] = given.get(name, default)
        elif step.word == "USER":
            self.user = expand(step.text, known)
        elif step.word == "WORKDIR":
            self.workdir = expand(step.text, known)
            (self.folder / self.workdir[1:]).mkdir(parents=True, exist_ok=True)
        else:
            raise SystemExit(f"line {step.line}: {step.word} is not known here")

    def copy(self, words: list[str], built: Mapping[str, Root]) -> None:
        """Copy files from the context, or from another stage."""
        options = dict(word[2:].split("=") for word in words if word.startswith("--"))
        *sources, target = [word for word in words if not word.startswith("--")]
        place = self.folder / str(Path(self.workdir, target))[1:]
        stage = options.get("from")
        owner = options.get("chown") or (None if stage else "0:0")
        for source in sources:
            for path in (built[stage].folder if stage else CONTEXT).glob(source.lstrip("/")):
                into = place / path.name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", "-T", path, into], check=True)
                if owner:
                    subprocess.run(["chown", "-R", owner, into], check=True)

    def _home(self) -> str:
        for line in (self.folder / "etc/passwd").read_text().splitlines():
            name, _, uid, _, _, home, _ = line.split(":")
            if self.user in (name, uid):
                return home
        return "/"


def debian(work: Path, ca_file: Path | None, suite: str) -> Root:
    """A clean Debian, made once."""
    folder = work / suite
    work.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        part = work / f"{suite}.part"
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", suite, part], check=True)
        part.rename(folder)
    return Root(folder, ca_file)
