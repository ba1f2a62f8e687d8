"""Debian's Prometheus, unpacked, on a free port of loopback."""
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from debs import unpacked
from program import HANG, die_with_parent, free_port


def programs():
    """Where `prometheus` and `promtool` are."""
    return unpacked("prometheus", "prometheus", "promtool") / "usr" / "bin"  # Debian 13 has promtool apart


class Prometheus:
    """The real one, by `config`; rule files that it names lie in `folder`."""

    def __init__(self, folder, config):
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.port, self.log = free_port(), folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [programs() / "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)

    def query(self, expression):
        """[(labels, value)]; none while it is starting."""
        assert self.process.poll() is None, self.log.read_text()
        asked = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(asked, timeout=HANG) as answer:
                result = json.load(answer)["data"]["result"]
        except (ConnectionError, urllib.error.URLError) as fault:
            assert not isinstance(fault, urllib.error.HTTPError) or fault.code == 503, f"{expression}: {fault.read()}"
            return []
        return [(found["metric"], float(found["value"][1])) for found in result]

    def stop(self):
        self.process.terminate()
        self.process.wait(HANG)
