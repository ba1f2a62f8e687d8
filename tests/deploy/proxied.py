"""Replicas behind a proxy: three servers of one worker, the proxy's process, a bounded load."""
import http.client
import json
import subprocess
import threading

from program import die_with_parent, free_port
from serving import Server, metric, wait_for

REPLICAS = ("--threads", "1", "--trust-proxy", "127.0.0.0/8", "--max-budget-ms", "600000",
            "--budget-ms", "60000")
# The machine's speed is no part of any verdict here, so a request has all the time that there is.
PATIENT = {"Content-Type": "application/json", "X-Request-Budget-Ms": "30000"}


def replica(model, port, ops, *options):
    return Server([model], *REPLICAS, "--ops-port", ops, *options, port=port)


def replicas(model, *options, count=3):
    """So many servers, each on ports that another process may take again after it."""
    return [replica(model, free_port(), free_port(), *options) for _ in range(count)]


def again(server, model, *options):
    """The same replica after a restart: another process on its ports."""
    return replica(model, server.port, server.ops_port, *options)


def body_of(number):
    return {"inputs": f"query number {number}"}


def send(port, body, headers=None, path="/embed"):
    """(status, headers, body) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {**PATIENT, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def looked_for(server):
    """(hits, misses): what a replica found in its cache, and what not."""
    return [metric(server, f"querent_cache_{what}_total", port=server.ops_port) for what in ("hits", "misses")]


def asked(servers):
    """How many sequences each replica was asked for."""
    return [sum(looked_for(server)) for server in servers]


class Proxy:
    """A proxy's process; its output is in `log`."""

    def __init__(self, command, env, log):
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=file,
                                            stderr=file, preexec_fn=die_with_parent)

    def stop(self):
        self.process.kill()
        self.process.wait(60)


class Load:
    """So many clients that ask one after the other until stop(); `wrong` has every request that failed."""

    def __init__(self, port, clients=3):
        self.port, self.wrong, self.done = port, [], 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self, first):
        number = first
        while not self.over.wait(0.01):
            number += len(self.threads)
            try:
                status, _, text = send(self.port, body_of(number))
                if status != 200:
                    self.wrong.append((status, text))
            except (OSError, http.client.HTTPException) as fault:
                self.wrong.append(repr(fault))
            self.done += 1

    def wait_for(self, more):
        until = self.done + more
        wait_for(lambda: self.done >= until, f"{more} more requests")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        return self.wrong


def wait_answers(port):
    """Until the proxy passes requests on."""
    def answers():
        try:
            return send(port, body_of(0))[0] == 200
        except OSError:
            return False
    wait_for(answers, "the proxy's first answer")


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def self_signed(folder, name, *more):
    """NAME.pem, a certificate of its own for a day, and NAME.key."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 1,
            "-subj", f"/CN={name}", *more, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")


def rolling_restart(here, model, *options):
    """Restarts one replica after the other under load, `here.wait_up()` in between; what failed at the clients."""
    load = Load(here.port)
    try:
        for place, server in enumerate(here.servers):
            load.wait_for(30)
            server.signal()
            assert server.wait() == 0
            here.servers[place] = again(server, model, *options)
            here.wait_up()
            load.wait_for(30)
    finally:
        wrong = load.stop()
    return wrong


def kill_one(servers, port):
    """Kills the first replica under load; what failed at the clients."""
    load = Load(port)
    try:
        load.wait_for(60)
        servers[0].process.kill()
        servers[0].process.wait(60)
        load.wait_for(150)
    finally:
        wrong = load.stop()
    return wrong
