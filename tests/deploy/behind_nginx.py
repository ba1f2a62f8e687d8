"""Replicas behind nginx by the shipped file, of which nothing but addresses and paths is another. For the tests, and for
bench/replicas.py."""
import subprocess

from debs import library_path, unpacked
from program import HANG, ROOT, free_port
from proxied import Proxy, replicas, self_signed, wait_answers

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def unpack_nginx():
    return unpacked("nginx", "nginx")


def shipped(servers, port, tls, work):
    """The shipped file, of which nothing but addresses and paths is another."""
    text = (ROOT / "deploy/nginx/nginx.conf").read_text(encoding="utf-8")
    changes = {f"querent-{n}:8080": f"127.0.0.1:{server.port}" for n, server in enumerate(servers, 1)}
    changes |= {"listen 8080": f"listen 127.0.0.1:{port}", "listen 8443": f"listen 127.0.0.1:{tls}",
                "/etc/nginx/querent.": f"{work}/querent."}
    for ours, here in changes.items():
        assert ours in text, ours
        text = text.replace(ours, here)
    paths = "".join(f"    {name}_temp_path {work}/{name};\n" for name in TEMPORARY)
    user = "daemon off;\nuser root;\n" if work.owner() == "root" else "daemon off;\n"
    return user + f"pid {work}/pid;\nerror_log stderr;\n" + text.replace("http {\n", "http {\n" + paths, 1)


class Behind:
    def __init__(self, folder, model, work, *options):
        self_signed(work, "querent", "-addext", "subjectAltName=IP:127.0.0.1")
        self.servers = replicas(model, *options)
        self.port, self.tls = free_port(), free_port()
        file = work / "nginx.conf"
        file.write_text(shipped(self.servers, self.port, self.tls, work), encoding="utf-8")
        command = [folder / "usr/sbin/nginx", "-p", work, "-e", "stderr", "-c", file]
        checked = subprocess.run([*command, "-t"], env=library_path(folder), capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        self.proxy = Proxy(command, library_path(folder), work / "nginx.log")
        wait_answers(self.port)

    def wait_up(self):
        """Nginx asks no replica how it is: the next restart must fail nobody even before it has found this one back."""

    def stop(self):
        self.proxy.process.terminate()
        self.proxy.process.wait(HANG)
        for server in self.servers:
            if server.process.poll() is None:
                server.stop()
