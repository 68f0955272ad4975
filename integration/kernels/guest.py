"""The files of a guest: programs of this machine with the libraries they need, as a cpio archive (initramfs, "newc" format)."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

# What the tests run besides our own programs. A test that needs more is to be added here, or is not run in guests (suites.py).
PROGRAMS = """
    bash sh env cat touch timeout ip unshare umount mkdir rmdir chmod setpriv mount mv chown script rm nsenter nft mkfs.ext4 ls cp ln
    stat true false sleep ps kill losetup id date truncate dd head tail grep sed tr wc sort uniq find readlink chroot mktemp python3
    echo printf test seq tee cut uname hostname busybox basename dirname mknod pivot_root ldd dash apt apt-get unlink getent pgrep sysctl diff cmp mkfifo nohup nice env pwd sha256sum tac touch sync tty yes xargs flock setsid ipcmk ipcs ipcrm
""".split()
FILES = ["/etc/services", "/etc/protocols"]
TEXTS = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/resolv.conf": "",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
}


class Archive:
    """A cpio archive that is written as it grows. Parents are made, links of this machine's root are kept."""

    def __init__(self, path, isWhole=True):
        """isWhole: with the folders of a root; otherwise it comes behind an archive that has them."""
        self.file = open(path, "wb")
        self.names = set()
        self.inode = 0
        if not isWhole:
            return
        # A merged /usr, as this machine may have it or not.
        for name in ("bin", "sbin", "lib", "lib64"):
            self.link(f"/{name}", f"usr/{name}")
        for name in ("proc", "sys", "dev", "tmp", "run", "root", "mnt", "var/tmp", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
            self.folder(f"/{name}")

    @staticmethod
    def place(path):
        """Where a path leads when /bin and the like are links to /usr/bin."""
        return re.sub(r"^/(bin|sbin|lib64|lib)/", r"/usr/\1/", os.path.normpath(path))

    def put(self, path, mode, size, source=None, contents=b""):
        path = self.place(path)
        if path in self.names:
            return False
        self.names.add(path)
        parent = os.path.dirname(path)
        if parent != "/":
            self.folder(parent)
        self.inode += 1
        name = path.lstrip("/").encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name), 0]
        self.file.write(b"070701" + b"".join(b"%08x" % field for field in fields) + name)
        self.pad()
        if source:
            shutil.copyfileobj(source, self.file, 1 << 20)
        else:
            self.file.write(contents)
        self.pad()
        return True

    def pad(self):
        self.file.write(b"\0" * (-self.file.tell() % 4))

    def folder(self, path):
        self.put(path, stat.S_IFDIR | 0o755, 0)

    def link(self, path, target):
        target = target.encode()
        self.put(path, stat.S_IFLNK | 0o777, len(target), contents=target)

    def bytes(self, path, contents, mode=0o644):
        self.put(path, stat.S_IFREG | mode, len(contents), contents=contents)

    def text(self, path, text, mode=0o644):
        self.bytes(path, text.encode(), mode)

    def copy(self, source, path, mode=None):
        with open(source, "rb") as file:
            status = os.fstat(file.fileno())
            self.put(path, stat.S_IFREG | (mode or stat.S_IMODE(status.st_mode) & 0o777), status.st_size, source=file)

    def mirror(self, path):
        """A file of this machine under its own name, and what its name leads to if that is a link."""
        real = os.path.realpath(path)
        self.copy(real, real)
        if self.place(real) != self.place(path):
            self.link(path, real)

    def close(self):
        self.inode += 1
        self.file.write(b"070701" + b"%08x" * 11 % (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"%08x%08x" % (11, 0) + b"TRAILER!!!\0")
        self.pad()
        self.file.close()


def libraries(program):
    """The shared libraries, the loader included, that a program of this machine is run with."""
    result = subprocess.run(["ldd", program], capture_output=True, text=True)
    return re.findall(r"(/\S+)(?= \(0x)", result.stdout)


def stripped(program, folder):
    target = os.path.join(folder, os.path.basename(program))
    subprocess.run(["strip", "-o", target, program], check=True)
    return target


def build(archive, own, package):
    """Puts a userland into an archive: programs of this machine, ours in /opt/portcullis, and what tests read of the package, which they
    find where it was when they were built."""
    found = []
    for name in PROGRAMS:
        path = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
        if not path:
            raise SystemExit(f"kernels: {name} is needed in guests and is not here")
        found.append(path)
    for path in found:
        archive.mirror(path)
    with tempfile.TemporaryDirectory(prefix="portcullis-guest.") as work:
        for path in own:
            archive.copy(stripped(path, work), f"/opt/portcullis/{os.path.basename(path)}", 0o755)
    for program in [os.path.realpath(path) for path in found] + list(own):
        for library in libraries(program):
            archive.mirror(library)
    python(archive)
    for path in FILES:
        archive.mirror(path)
    for path, text in TEXTS.items():
        archive.text(path, text)
    for path in sorted((package / "integration").iterdir()):
        if path.is_file():
            archive.copy(path, str(path))
    shared = Path(os.environ.get("PORTCULLIS_SHARED") or package / "../shared").resolve()
    for path in sorted((shared / "compat/policies").glob("*.yaml")):
        archive.copy(path, os.path.normpath(f"{package}/../shared/compat/policies/{path.name}"))


def python(archive):
    """The modules of Python that a script of a few lines needs."""
    home = Path(os.path.realpath("/usr/bin/python3")).name
    library = Path("/usr/lib") / home
    folders = [library, *(library / name for name in ("encodings", "collections", "re", "json", "importlib", "ctypes", "urllib", "multiprocessing", "sqlite3", "concurrent", "concurrent/futures"))]
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            archive.copy(path, str(path))
    for path in sorted((library / "lib-dynload").glob("*.so")):
        archive.copy(path, str(path))
        for needed in libraries(path):
            archive.mirror(needed)


def folder(own, target):
    """Our programs in a folder, as build() puts them into a guest."""
    target.mkdir()
    for path in own:
        shutil.copy(path, target)
    return target
