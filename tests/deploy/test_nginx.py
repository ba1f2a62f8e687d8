"""deploy/nginx with Debian's nginx, unpacked: three replicas, plain and TLS."""
import re
import ssl
import subprocess
import time
import urllib.request

import pytest
from debs import library_path, unpacked
from program import HANG, ROOT, free_port
from proxied import Proxy, asked, body_of, kill_one, replicas, self_signed, send, wait_answers

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@pytest.fixture(scope="module")
def unpacked_nginx():
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
    def __init__(self, folder, model, work):
        self_signed(work, "querent", "-addext", "subjectAltName=IP:127.0.0.1")
        self.servers = replicas(model)
        self.port, self.tls = free_port(), free_port()
        file = work / "nginx.conf"
        file.write_text(shipped(self.servers, self.port, self.tls, work), encoding="utf-8")
        command = [folder / "usr/sbin/nginx", "-p", work, "-e", "stderr", "-c", file]
        checked = subprocess.run([*command, "-t"], env=library_path(folder), capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        self.proxy = Proxy(command, library_path(folder), work / "nginx.log")
        wait_answers(self.port)

    def stop(self):
        self.proxy.process.terminate()
        self.proxy.process.wait(HANG)
        for server in self.servers:
            if server.process.poll() is None:
                server.stop()


@pytest.fixture
def behind(unpacked_nginx, embedder, tmp_path):
    here = Behind(unpacked_nginx, embedder, tmp_path)
    yield here
    here.stop()


def test_a_repeated_body_meets_its_cache(behind):
    before = asked(behind.servers)
    for number in range(1, 25):
        for turn in ("miss", "hit"):
            status, headers, _ = send(behind.port, body_of(number))
            assert status == 200 and re.search(rf"cache\W+{turn}", headers["x-querent-trace"]), headers
    more = [now - then for now, then in zip(asked(behind.servers), before)]
    assert sum(more) == 48 and all(more), more


def test_a_killed_replica_fails_nobody(behind):
    assert kill_one(behind.servers, behind.port) == []


def test_what_the_client_says_of_its_start_is_not_believed(behind):
    """Nginx's own stamp takes its place: a request that says it is a minute old is answered."""
    old = {"X-Request-Start": f"t={time.time() - 60:.3f}"}
    status, _, _ = send(behind.port, body_of(1), {"X-Request-Budget-Ms": "30000", **old})
    assert status == 200


def test_tls(behind, tmp_path):
    context = ssl.create_default_context(cafile=tmp_path / "querent.pem")
    with urllib.request.urlopen(f"https://127.0.0.1:{behind.tls}/info", timeout=HANG, context=context) as answer:
        assert answer.status == 200
    with pytest.raises(OSError):
        urllib.request.urlopen(f"https://127.0.0.1:{behind.tls}/info", timeout=HANG)
