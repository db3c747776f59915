# SPDX-License-Identifier: Apache-2.0
"""A small Linux guest with the kernel's own WireGuard: Debian's kernel package, unpacked but never
installed, and an initramfs of busybox, ip, wg and what else its user names. Knows nothing of weft.

The kernel and its modules are kept in build/vm/ between runs (WEFT_VM_CACHE names another place).
qemu emulates in software: it boots in four seconds and behaves the same on every machine, where
nested KVM now and then hangs. WEFT_VM_ACCEL=kvm chooses otherwise.
"""

import base64
import fcntl
import gzip
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("WEFT_VM_CACHE", ROOT / "build" / "vm"))

PROGRAMS = {  # what the host must have, and the Debian package it comes from
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "ip": "iproute2",
    "wg": "wireguard-tools",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}
MODULES = ("virtio_pci", "virtio_net", "virtio_console", "virtio_rng", "tun", "wireguard")
# of a guest that sees the host's files, to run the system tests in: and what those need
HOST_MODULES = ("virtiofs", "overlay", "veth", "dummy", "bridge", "nf_tables", "nft_ct",
                "nft_fib_ipv4", "nft_fib_ipv6", "nft_fib_inet", "nft_reject_inet",
                "nft_chain_nat", "nft_masq", "nft_limit", "sch_netem")
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"  # of qemu-system-common
META_PACKAGE = "linux-image-cloud-amd64"


class GuestError(Exception):
    """The guest cannot be built, does not boot, or does not answer."""


def check_programs():
    lacking = {pkg for prog, pkg in PROGRAMS.items() if shutil.which(prog) is None}
    if lacking:
        raise GuestError("missing on this machine: apt-get install " + " ".join(sorted(lacking)))
    with open(shutil.which("busybox"), "rb") as f:
        if b"ld-linux" in f.read(4096):
            raise GuestError("busybox is not the static one: apt-get install busybox-static")


def kernel_tree():
    """The unpacked kernel package's directory, downloading it the first time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        have = sorted(CACHE.glob("kernel-*"))
        if have:
            return have[-1]
        try:
            return download_kernel()
        except GuestError:
            # the package lists are missing, or older than the archive
            subprocess.run(["apt-get", "-q", "update"], capture_output=True, check=False)
            return download_kernel()


def download_kernel():
    depends = subprocess.run(["apt-cache", "depends", META_PACKAGE], text=True,
                             capture_output=True, check=False).stdout
    found = re.search(r"Depends: (linux-image-[0-9]\S+)", depends)
    if not found:
        raise GuestError(f"apt knows no {META_PACKAGE} (Debian amd64, main); or put an unpacked "
                         f"kernel package into {CACHE}/kernel-<abi>")
    package = found.group(1)
    with tempfile.TemporaryDirectory(dir=CACHE) as tmp:
        got = subprocess.run(["apt-get", "-q", "download", package], cwd=tmp, text=True,
                             capture_output=True, check=False)
        debs = list(pathlib.Path(tmp).glob("*.deb"))
        if got.returncode or not debs:
            raise GuestError(f"apt-get download {package} failed:\n{got.stdout}{got.stderr}")
        tree = pathlib.Path(tmp) / "tree"
        subprocess.run(["dpkg-deb", "-x", str(debs[0]), str(tree)], check=True)
        final = CACHE / ("kernel-" + package.removeprefix("linux-image-"))
        tree.rename(final)
        return final


def modules_in_order(tree, wanted=MODULES):
    """Paths of the wanted modules and of all that they depend on, dependencies first. Read from
    the modules' own .modinfo, so that no depmod is needed."""
    files = {p.name.split(".")[0].replace("-", "_"): p for p in tree.glob("lib/modules/**/*.ko*")}
    order = []

    def add(name):
        if name not in files:
            return  # built in
        path = files[name]
        if path in order:
            return
        info = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for dep in info.group(1).decode().split(",") if info else []:
            if dep:
                add(dep.replace("-", "_"))
        order.append(path)

    for name in wanted:
        add(name)
    if not any(p.name.startswith("wireguard.") for p in order):
        raise GuestError(f"no wireguard module in {tree}")
    return order


def shared_objects(program):
    """The loader and the libraries of a dynamically linked program."""
    out = subprocess.run(["ldd", program], text=True, capture_output=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def build_initramfs(tree, target, programs, modules=MODULES):
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        for sub in ("bin", "dev", "proc", "sys", "tmp", "modules", "etc"):
            (root / sub).mkdir()
        shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
        (root / "bin" / "sh").symlink_to("busybox")
        for name, place in {"ip": shutil.which("ip"), "wg": shutil.which("wg"), **programs}.items():
            real = os.path.realpath(place)
            shutil.copy(real, root / "bin" / name)
            for lib in shared_objects(real):
                place = root / lib.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                if not place.exists():
                    shutil.copy(os.path.realpath(lib), place)
        names = []
        for path in modules_in_order(tree, modules):
            shutil.copy(path, root / "modules" / path.name)
            names.append(path.name)
        (root / "modules" / "order").write_text("\n".join(names) + "\n", encoding="ascii")
        shutil.copy(HERE / "init", root / "init")
        (root / "init").chmod(0o755)
        files = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
        archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root,
                                 input=files.encode(), capture_output=True, check=True).stdout
        with gzip.open(target, "wb", compresslevel=1) as f:
            f.write(archive)


class Result:
    def __init__(self, code, out):
        self.code = code
        self.out = out

    def __repr__(self):
        return f"exit {self.code}:\n{self.out}"


class Guest:
    """One running guest. `prefix` is put before the qemu command (ip netns exec ...), `tap` an
    existing tap device there, or None; `programs` names more of them for the guest's /bin and says
    where they are. With `host_files` it sees the host's files at /host, may change them there, and
    none of that reaches the host. Use as a context manager: qemu ends with it, whatever happens."""

    def __init__(self, tap, prefix=(), log_path=None, programs=None, host_files=False):
        self.tap = tap
        self.host_files = host_files
        self._files = None
        self.programs = programs or {}
        self.prefix = list(prefix)
        self.log_path = log_path
        self._qemu = None
        self._sock = None
        self._buf = b""
        self._id = 0
        self._tmp = None

    def __enter__(self):
        check_programs()
        tree = kernel_tree()
        self._tmp = tempfile.TemporaryDirectory(prefix="weft-vm-")
        tmp = pathlib.Path(self._tmp.name)
        if self.log_path is None:
            self.log_path = tmp / "console.log"
        try:
            initramfs = tmp / "initramfs.gz"
            build_initramfs(tree, initramfs, self.programs,
                            MODULES + (HOST_MODULES if self.host_files else ()))
            kernel = next((tree / "boot").glob("vmlinuz-*"))
            self._boot(kernel, initramfs, 300)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self._end_qemu()
        if self._tmp:
            self._tmp.cleanup()
            self._tmp = None

    def _share_files(self):
        """Starts the server of the host's files; what qemu is to be told of it."""
        path = pathlib.Path(self._tmp.name) / "files"
        log = self._tmp.name + "/files.log"
        with open(log, "w", encoding="utf-8") as out:
            # pylint: disable=consider-using-with
            self._files = subprocess.Popen(
                [VIRTIOFSD, f"--socket-path={path}", "-o", "source=/,sandbox=chroot,cache=always"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        deadline = time.monotonic() + 30
        while not path.exists():
            if self._files.poll() is not None or time.monotonic() > deadline:
                raise GuestError("virtiofsd: " + pathlib.Path(log).read_text(encoding="utf-8"))
            time.sleep(0.05)
        return ["-object", "memory-backend-memfd,id=mem,size=1024M,share=on",
                "-numa", "node,memdev=mem", "-chardev", f"socket,id=files,path={path}",
                "-device", "vhost-user-fs-pci,chardev=files,tag=host"]

    def _boot(self, kernel, initramfs, seconds):
        path = pathlib.Path(self._tmp.name) / "agent"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(1)
        accel = os.environ.get("WEFT_VM_ACCEL", "tcg")
        cpu = {"kvm": "host,-arch-capabilities", "tcg": "qemu64,+ssse3,+sse4.1,+sse4.2,+rdrand"}[accel]
        command = self.prefix + [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-machine", "q35", "-accel", accel, "-cpu", cpu,
            "-smp", "1", "-m", "1024" if self.host_files else "256",
            "-kernel", str(kernel), "-initrd", str(initramfs), "-append",
            "console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on mitigations=off "
            "tsc=reliable",
            "-chardev", f"file,id=console,path={self.log_path}", "-serial", "chardev:console",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={path}",
            "-device", "virtserialport,chardev=agent,name=agent",
        ]
        if self.tap:
            command += ["-netdev", f"tap,id=net,ifname={self.tap},script=no,downscript=no",
                        "-device", "virtio-net-pci,netdev=net,mac=52:54:00:00:00:02,romfile="]
        if self.host_files:
            command += self._share_files()
        # pylint: disable=consider-using-with
        self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True)
        listener.settimeout(60)
        with listener:
            try:
                self._sock, _ = listener.accept()
            except TimeoutError:
                raise GuestError("qemu does not start") from None
        self._buf = b""
        self._answer("ready", time.monotonic() + seconds)

    def _end_qemu(self):
        if self._sock:
            self._sock.close()
            self._sock = None
        if self._qemu:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu.stdout.close()
            self._qemu = None
        if self._files:
            self._files.kill()
            self._files.wait()
            self._files = None

    def console(self):
        try:
            return pathlib.Path(self.log_path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _answer(self, tag, deadline):
        """The answer that begins with `tag`; late ones of commands given up are passed over."""
        while True:
            while b"\n" in self._buf:
                line, self._buf = self._buf.split(b"\n", 1)
                fields = line.decode().split(" ")
                if fields[0] == tag and len(fields) == 3:
                    out = base64.b64decode(fields[2]).decode("utf-8", "replace")
                    return Result(int(fields[1]), out)
            left = deadline - time.monotonic()
            data = b""
            if left > 0:
                self._sock.settimeout(left)
                try:
                    data = self._sock.recv(65536)
                except (TimeoutError, ConnectionResetError):
                    pass
            if not data:
                why = "did not answer in time"
                if self._qemu.poll() is not None:
                    why = "ended: " + self._qemu.stdout.read().decode("utf-8", "replace")
                raise GuestError(f"guest {why}\nconsole:\n{self.console()[-3000:]}")
            self._buf += data

    def run(self, script, timeout=60, check=True):
        """Runs a shell script in the guest; returns its exit code and output (both streams)."""
        self._id += 1
        # /bin/ip is iproute2's; without the function busybox would take its own
        script = 'ip() { /bin/ip "$@"; }\n' + script
        text = base64.b64encode(script.encode()).decode()
        self._sock.settimeout(timeout + 10)
        self._sock.sendall(f"{self._id} {timeout} {text}\n".encode())
        result = self._answer(str(self._id), time.monotonic() + timeout + 10)
        if check and result.code:
            raise GuestError(f"in the guest: {script!r}: {result!r}")
        return result
