"""Debian's kernels and their modules."""

import lzma
import os
import re
import subprocess
import time
from pathlib import Path

# Name of the kernel -> where its metapackage is: archive and distribution. The package that it depends on has another name with every update.
SOURCES = {
    "5.10": ("debian-security", "bullseye-security"),
    "6.1": ("debian", "bookworm"),
    "6.12": ("debian", "trixie"),
}
METAPACKAGE = "linux-image-cloud-amd64"
# What a running system would load by itself.
MODULES = """
    nf_conntrack nfnetlink nf_tables nft_ct nft_socket nft_reject_inet nft_limit nft_counter nft_log nft_quota nft_objref nft_numgen
    nfnetlink_log nf_log_ipv4 nf_log_ipv6 nf_log_syslog nf_conntrack_netlink overlay loop veth dummy tun
""".split()
HERE = Path(__file__).resolve().parent
# How often a mirror is asked that does not answer as it should, and how long is waited in between, in seconds.
ATTEMPTS, PAUSE = 5, 15


class FetchError(Exception):
    """What apt said."""


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "portcullis-kernels"


def shell(script, *arguments):
    """Runs a script with the functions of scripts/apt-root."""
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'source "{HERE}/../../scripts/apt-root"; {script}', "bash", *map(str, arguments)],
        capture_output=True, text=True)
    if result.returncode != 0:
        raise FetchError(result.stderr.strip() or result.stdout.strip() or f"ended with {result.returncode}")
    return result.stdout


def mirrors(archive):
    """Where an archive of Debian's may be: where $MIRROR says, or where this machine's apt finds it, and else where everybody does."""
    if mirror := os.environ.get("MIRROR"):
        return [f"{mirror}/{archive}"]
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True).stdout
    own = [line.rstrip("/") for line in listed.splitlines()]
    return list(dict.fromkeys([uri for uri in own if uri.endswith(f"/{archive}")] + [f"http://deb.debian.org/{archive}"]))


class Kernel:
    """A kernel package, unpacked in the cache."""

    def __init__(self, name):
        self.name = name
        folder = cache() / name
        folder.mkdir(parents=True, exist_ok=True)
        self.tree = folder / "tree"
        self.image = next(iter(self.tree.glob("boot/vmlinuz-*")), None)
        if not self.image or os.environ.get("KERNELS_UPDATE"):
            self.fetch(folder)
        self.image = next(iter(self.tree.glob("boot/vmlinuz-*")))
        self.version = self.image.name.removeprefix("vmlinuz-")

    def fetch(self, folder):
        archive, distribution = SOURCES[self.name]
        places = mirrors(archive)
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE)
            for place in places:
                try:
                    return self.fetch_from(f"deb {place} {distribution} main", folder)
                except FetchError as error:
                    problem = str(error)
        lines = [line for line in problem.splitlines() if line.startswith("E:")] or problem.splitlines()
        raise SystemExit(
            f"kernels: Linux {self.name} cannot be fetched from {' or '.join(places)} ({distribution}): {lines[0].removeprefix('E: ')}")

    def fetch_from(self, source, folder):
        shell(
            """
            rm -rf "$1/apt"
            apt_root "$1/apt" "$2"
            package=$(apt-cache $(apt_options "$1/apt") depends "$3" | sed -n 's/^ *Depends: *\\(linux-image-[0-9].*\\)/\\1/p' | head -1)
            [ -n "$package" ] || { echo "$3 depends on no kernel" >&2; exit 1; }
            cd "$1"
            rm -rf tree.new linux-image-*.deb
            apt_in "$1/apt" download "$package"
            dpkg-deb -x linux-image-*.deb tree.new
            rm -rf tree apt linux-image-*.deb
            mv tree.new tree
            """, folder, source, METAPACKAGE)

    def modules(self):
        """Contents of the modules that this kernel has of those wanted, in the order in which they are loaded."""
        if not (self.tree / "lib").exists():
            (self.tree / "lib").symlink_to("usr/lib")
        subprocess.run(["depmod", "-b", self.tree, self.version], check=True)
        paths = []
        for name in MODULES:
            # A name that this kernel does not know, or has built in, needs nothing.
            shown = subprocess.run(
                ["modprobe", "-d", self.tree, "-S", self.version, "--show-depends", name], capture_output=True, text=True)
            for path in re.findall(r"^insmod (\S+)", shown.stdout, re.M):
                if path not in paths:
                    paths.append(path)
        for path in paths:
            name = Path(path).name
            with (lzma.open(path) if name.endswith(".xz") else open(path, "rb")) as file:
                yield name.removesuffix(".xz"), file.read()
