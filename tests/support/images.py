"""Provide the images that tests and compose run: the official ones where a pull works, else equal ones built here.

The order for each image: the official one if the engine has it; the equal one built earlier; a pull; a build from
packages. One printed line says which it was. What is built carries the tag gaia-local/NAME:VERSION-HASH, the hash being
that of its recipe, so it is built once per machine and again when the recipe changes. MinIO publishes no image any
more, so it is always built, from deploy/minio.Dockerfile. Used by conftest.py and the Makefile:
`python -m tests.support.images [base busybox kafka minio gaia]`; without names: all but gaia, which needs a whole tree.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from tests.support.engine import connect, ensure_engine
from tests.support.machine import ROOT, ServiceMissing, cache_folder, ensure_programs, find_program, run

DEPLOY = ROOT / "deploy"
REPOSITORY = "gaia-local"
PYTHON_IMAGE = "python:3.12-slim-bookworm"
BUSYBOX_IMAGE = "busybox:1.36"
KAFKA_IMAGE = "apache/kafka:4.2.0"
GO_IMAGE = "golang:1.26-bookworm"

# What the Debian-slim like base carries beyond the essential packages: enough to make and run a virtual environment.
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
# What Kafka needs of Java: the SE modules, and the JDK's own that its log, metrics and security code look for.
JAVA_MODULES = (
    "java.se,jdk.crypto.ec,jdk.jfr,jdk.management,jdk.management.agent,jdk.naming.dns,jdk.net,jdk.security.auth,"
    "jdk.security.jgss,jdk.unsupported,jdk.zipfs"
)
# Which builds of a package run on the base image, newest first; pip wants each named.
MANYLINUX = ("manylinux_2_36", "manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "linux")
# A registry that is out of reach must cost seconds, not minutes, before we build instead.
REGISTRY_PROBE_S = 8
# Other checkouts on this machine may use an earlier build, so a few stay.
BUILDS_KEPT = 3
# Marks what the first stages of our Dockerfiles leave behind.
STAGE_LABEL = "gaia.stage"
ERROR_TAIL_LINES = 15
MESSAGE_CHARS_MAX = 300


@dataclass(frozen=True)
class Recipe:
    """How to get one image.

    Attributes:
        official: name that a pull would bring, None when nobody publishes one.
        version: what the tag of a local build starts with.
        ingredients: text that the tag's hash covers; when it changes, the image is built anew.
        build: builds the image under the tag given.
    """

    official: str | None
    version: str
    ingredients: str
    build: Callable[[str], None]

    def tag(self, name: str) -> str:
        """Return the full name of the local build."""
        digest = hashlib.sha256(self.ingredients.encode()).hexdigest()[:10]
        return f"{REPOSITORY}/{name}:{self.version}-{digest}"


@functools.cache
def ensure_image(name: str) -> str:
    """Return a runnable image name for a key of RECIPES, getting or building it where needed.

    Cost: nothing when it is there; else a pull, or between 1 s (busybox) and some minutes (minio without a Go cache).

    Raises:
        ServiceMissing: no engine, or neither a pull nor a build works here; the message says why.
    """
    recipe = RECIPES[name]()
    tag = recipe.tag(name)
    if recipe.official and _has(recipe.official):
        return _say(name, recipe.official, "official, already here")
    if _has(tag):
        return _say(name, tag, "built earlier")
    reason = pull_problem(recipe.official) if recipe.official else "nobody publishes it"
    if recipe.official and not reason:
        return _say(name, recipe.official, "official, pulled")
    begin = time.monotonic()
    recipe.build(tag)
    return _say(name, tag, f"built in {time.monotonic() - begin:.0f} s, since {reason}")


def pull_problem(image: str) -> str:
    """Make the engine have an official image; return why that failed, or nothing.

    A registry out of reach is asked once per process.
    """
    if _has(image):
        return ""
    if reason := _pulls_fail():
        return reason
    with _client() as client:
        try:
            client.images.pull(image)
        except (DockerException, OSError) as problem:
            return f"its pull failed ({_one_line(problem)})"
    return ""


@functools.cache
def _pulls_fail() -> str:
    """Return why this engine cannot pull, or nothing when it can."""
    with connect(ensure_engine()) as client:
        client.api.timeout = REGISTRY_PROBE_S
        try:
            client.images.get_registry_data(BUSYBOX_IMAGE)
        except (DockerException, OSError) as problem:
            return f"the registry cannot be reached ({_one_line(problem)})"
    return ""


def _base() -> Recipe:
    suite = _os_release().get("VERSION_CODENAME", "bookworm")
    return Recipe(PYTHON_IMAGE, suite, " ".join((suite, *BASE_PACKAGES)), _build_base)


def _build_base(tag: str) -> None:
    ensure_programs("debootstrap")
    suite, mirror = _debian_mirror()
    with tempfile.TemporaryDirectory(prefix="gaia-base-") as folder:
        program = find_program("debootstrap") or "debootstrap"
        run([program, "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", suite, folder, mirror])
        for useless in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(Path(folder) / useless, ignore_errors=True)
        for needed in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
            (Path(folder) / needed).mkdir(parents=True)
        _import(Path(folder), tag, ['CMD ["bash"]'])


def _busybox() -> Recipe:
    return Recipe(BUSYBOX_IMAGE, "static", "busybox-static 1", _build_busybox)


def _build_busybox(tag: str) -> None:
    ensure_programs("busybox")
    program = Path(find_program("busybox") or "/bin/busybox")
    with tempfile.TemporaryDirectory(prefix="gaia-busybox-") as folder:
        root = Path(folder)
        for name in ("bin", "etc", "root", "home", "tmp", "var/tmp", "usr/bin"):
            (root / name).mkdir(parents=True)
        for shared in (root / "tmp", root / "var/tmp"):
            shared.chmod(0o1777)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        shutil.copy2(program, root / "bin/busybox")
        for applet in run([program, "--list"]).split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        (root / "usr/bin/env").symlink_to("../../bin/busybox")
        root.chmod(0o755)
        _import(root, tag, ['CMD ["sh"]'])


def _kafka() -> Recipe:
    files = [DEPLOY / "kafka.Dockerfile", *sorted((DEPLOY / "kafka").iterdir())]
    texts = [file.read_text(encoding="utf-8") for file in files]
    version = KAFKA_IMAGE.partition(":")[2]
    return Recipe(KAFKA_IMAGE, version, "\n".join([*texts, JAVA_MODULES, _base().ingredients]), _build_kafka)


def _build_kafka(tag: str) -> None:
    base = ensure_image("base")
    ensure_programs("java", "jlink", "mvn")
    with tempfile.TemporaryDirectory(prefix="gaia-kafka-") as folder:
        context = Path(folder)
        shutil.copy2(DEPLOY / "kafka.Dockerfile", context)
        shutil.copytree(DEPLOY / "kafka", context / "kafka")
        run(["mvn", "-q", "-B", "-f", DEPLOY / "kafka/pom.xml", "dependency:copy-dependencies",
             f"-DoutputDirectory={context / 'libs'}", "-DincludeScope=runtime"])  # fmt: skip
        run(["jlink", "--add-modules", JAVA_MODULES, "--strip-debug", "--no-man-pages", "--no-header-files",
             "--output", context / "java"])  # fmt: skip
        _build(context, "kafka.Dockerfile", tag, {"BASE": base})


def _minio() -> Recipe:
    text = (DEPLOY / "minio.Dockerfile").read_text(encoding="utf-8")
    return Recipe(None, _minio_version(text).split("-")[1][:8], text, _build_minio)


def _build_minio(tag: str) -> None:
    """Build the server inside Go's official image where that can be pulled, else with the Go of this machine."""
    if not (pull_problem(GO_IMAGE) or pull_problem(BUSYBOX_IMAGE)):
        _build(DEPLOY, "minio.Dockerfile", tag, {})
        return
    if find_program("go") is None:
        raise ServiceMissing("the MinIO image needs Go 1.24 or later, or a reachable registry; see https://go.dev/dl")
    dockerfile = DEPLOY / "minio.Dockerfile"
    module = f"github.com/minio/minio@{_minio_version(dockerfile.read_text(encoding='utf-8'))}"
    base = ensure_image("busybox")
    print(f"building {module} (some minutes the first time) ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="gaia-minio-") as folder:
        context = Path(folder)
        shutil.copy2(dockerfile, context)
        run(["go", "install", "-ldflags=-s -w", module], environment={"CGO_ENABLED": "0", "GOBIN": folder})
        _build(context, dockerfile.name, tag, {"BASE": base, "GO_BASE": base})


def _minio_version(dockerfile: str) -> str:
    found = re.search(r"^ARG MINIO_VERSION=(\S+)$", dockerfile, re.MULTILINE)
    if found is None:
        raise ServiceMissing("deploy/minio.Dockerfile names no MINIO_VERSION")
    return found[1]


def _gaia() -> Recipe:
    wheel = _wheel()
    with zipfile.ZipFile(wheel) as archive:
        content = "\n".join(f"{entry.filename} {entry.CRC}" for entry in archive.infolist())
    dockerfile = (DEPLOY / "gaia.Dockerfile").read_text(encoding="utf-8")
    ingredients = "\n".join((dockerfile, content, _base().ingredients))
    return Recipe(None, wheel.name.split("-")[1], ingredients, functools.partial(_build_gaia, wheel))


def _wheel() -> Path:
    """Build the wheel of this source tree into the cache folder, in place of an earlier one."""
    folder = cache_folder("wheel")
    for old in folder.glob("*.whl"):
        old.unlink()
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT])
    return next(folder.glob("*.whl"))


def _build_gaia(wheel: Path, tag: str) -> None:
    """Build the image of server and worker; where pulls fail, pip's index may be out of its reach too: bring wheels."""
    base = ensure_image("base")
    with tempfile.TemporaryDirectory(prefix="gaia-image-") as folder:
        context = Path(folder)
        (context / "dist").mkdir()
        shutil.copy2(DEPLOY / "gaia.Dockerfile", context)
        shutil.copy2(wheel, context / "dist")
        if _pulls_fail():
            shutil.copytree(_wheelhouse(wheel, _python_version(base)), context / "dist/wheelhouse")
        _build(context, "gaia.Dockerfile", tag, {"BASE": base})


def _wheelhouse(wheel: Path, python_version: str) -> Path:
    """Return a folder with the wheels that Gaia needs under a Python version that need not be ours."""
    folder = cache_folder(f"wheelhouse-{python_version}")
    machine = platform.machine()
    platforms = [f"--platform={name}_{machine}" for name in MANYLINUX]
    run([sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", *platforms,
         f"--python-version={python_version}", f"--dest={folder}", f"{wheel}[all]"])  # fmt: skip
    for own in folder.glob("gaia_workflows-*.whl"):
        own.unlink()
    return folder


def _python_version(image: str) -> str:
    with _client() as client:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        return client.containers.run(image, ["python3", "-c", code], remove=True, network_mode="none").decode().strip()


RECIPES: dict[str, Callable[[], Recipe]] = {
    "base": _base,
    "busybox": _busybox,
    "kafka": _kafka,
    "minio": _minio,
    "gaia": _gaia,
}


@contextmanager
def _client() -> Iterator[docker.DockerClient]:
    with connect(ensure_engine()) as client:
        yield client


def _has(image: str) -> bool:
    with _client() as client:
        try:
            client.images.get(image)
        except ImageNotFound:
            return False
    return True


def _import(root: Path, tag: str, changes: list[str]) -> None:
    """Make an image of one layer from a folder tree; owners and modes are kept."""
    repository, _, version = tag.rpartition(":")
    with tempfile.TemporaryDirectory(prefix="gaia-import-") as folder, _client() as client:
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        answer = client.api.import_image_from_file(str(archive), repository=repository, tag=version, changes=changes)
        if '"error"' in answer:
            raise ServiceMissing(f"import of {tag} failed: {_one_line(answer)}")


def _build(context: Path, dockerfile: str, tag: str, arguments: dict[str, str]) -> None:
    with _client() as client:
        try:
            client.images.build(
                path=str(context), dockerfile=dockerfile, tag=tag, buildargs=arguments, rm=True, forcerm=True
            )
        except BuildError as problem:
            lines = [line.get("stream", "").rstrip() for line in problem.build_log]
            tail = "\n".join([line for line in lines if line][-ERROR_TAIL_LINES:])
            raise ServiceMissing(f"build of {tag} failed: {_one_line(problem)}\n{tail}") from problem
        client.images.prune(filters={"dangling": True, "label": STAGE_LABEL})
        _remove_old(client, tag.rpartition(":")[0])


def _remove_old(client: docker.DockerClient, repository: str) -> None:
    """Remove all but the newest builds of an image, so that a changing recipe does not fill the disk."""
    builds = sorted(client.images.list(repository), key=lambda image: str(image.attrs["Created"]), reverse=True)
    for image in builds[BUILDS_KEPT:]:
        with suppress(APIError):  # in use
            client.images.remove(image.tags[0])


def _debian_mirror() -> tuple[str, str]:
    """Return the suite of this machine and the address its own apt sources name for it."""
    suite = _os_release().get("VERSION_CODENAME", "")
    listing = run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
    for line in listing.splitlines():
        site, _, rest = line.partition(" ")
        if rest == f"{suite} main":
            return suite, site
    raise ServiceMissing(f"the apt sources of this machine name no {suite or 'release'} main")


def _os_release() -> dict[str, str]:
    file = Path("/etc/os-release")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


def _one_line(problem: object) -> str:
    """Return the engine's own words without the HTTP around them."""
    return " ".join(str(getattr(problem, "explanation", None) or problem).split())[:MESSAGE_CHARS_MAX]


def _say(name: str, image: str, how: str) -> str:
    print(f"image {name}: {image} ({how})", flush=True)
    return image


def main(names: list[str]) -> int:
    """Prepare the images named on the command line; without names all that do not depend on our own code."""
    if unknown := [name for name in names if name not in RECIPES]:
        print(f"unknown image {', '.join(unknown)}; there are {', '.join(RECIPES)}", file=sys.stderr)
        return 2
    try:
        for name in names or [name for name in RECIPES if name != "gaia"]:
            ensure_image(name)
    except ServiceMissing as problem:
        print(problem, file=sys.stderr)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
