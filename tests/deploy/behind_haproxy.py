"""Replicas behind HAProxy by the shipped file, of which nothing but addresses is another. For the tests, and for
bench/replicas.py."""
import re
import subprocess
import urllib.request

from debs import library_path, unpacked
from program import HANG, ROOT, free_port
from proxied import Proxy, replicas, wait_answers
from serving import wait_for

FOLDER = ROOT / "deploy" / "haproxy"


def unpack_haproxy():
    return unpacked("haproxy", "haproxy", "libopentracing1",
                    "liblua5.3-0", "libopentracing-c-wrapper0",  # Debian 12's
                    "liblua5.4-0", "libopentracing-c-wrapper0t64", "libjemalloc2")  # 13's


def started(folder, text, work):
    """HAProxy by a file that it has checked first."""
    file = work / "haproxy.cfg"
    file.write_text(text, encoding="utf-8")
    program = folder / "usr/sbin/haproxy"
    checked = subprocess.run([program, "-c", "-f", file], env=library_path(folder), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr, checked.stderr
    return Proxy([program, "-db", "-f", file], library_path(folder), work / "haproxy.log")


def shipped(servers, port, metrics):
    """The shipped file with these addresses; of its three replicas those that are here."""
    text = (FOLDER / "haproxy.cfg").read_text(encoding="utf-8")
    for number, server in enumerate(servers, 1):
        address = f"127.0.0.1:{server.port} port {server.ops_port}"
        text, found = re.subn(rf"querent-{number}:8080", address, text)
        assert found == 1
    text, absent = re.subn(r" +server replica\d querent-\d:8080\n", "", text)
    assert absent == 3 - len(servers)
    assert "bind :8080" in text and "bind :8404" in text
    return text.replace("bind :8080", f"bind 127.0.0.1:{port}").replace("bind :8404", f"bind 127.0.0.1:{metrics}")


class Behind:
    """Replicas (three, as in the file, or fewer) and the proxy. `change` makes another text of the shipped one."""

    def __init__(self, folder, model, work, *options, count=3, change=lambda text: text):
        self.servers = replicas(model, *options, count=count)
        self.port, self.metrics = free_port(), free_port()
        self.proxy = started(folder, change(shipped(self.servers, self.port, self.metrics)), work)
        self.wait_up()
        wait_answers(self.port)

    def exported(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=HANG) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def of_servers(self, name, labels=""):
        """What the proxy's own exporter says of each replica, in the file's order."""
        found = re.findall(rf'^haproxy_server_{name}\{{proxy="replicas",server="\w+"{labels}\}} (\d+)', self.exported(), re.M)
        return [int(value) for value in found]

    def up(self):
        """Which replicas the proxy takes for ready."""
        return self.of_servers("status", ',state="UP"')

    def wait_up(self):
        wait_for(lambda: self.up() == [1] * len(self.servers), "all replicas up")

    def stop(self):
        self.proxy.stop()
        running = [server for server in self.servers if server.process.poll() is None]
        for server in running:
            server.signal()  # all at once: each of them drains
        for server in running:
            assert server.wait() == 0, server.log
