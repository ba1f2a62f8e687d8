"""deploy/nginx with Debian's nginx, unpacked: three replicas, plain and TLS."""
import re
import ssl
import time
import urllib.request

import pytest
from behind_nginx import Behind, unpack_nginx
from program import HANG
from proxied import asked, body_of, kill_one, rolling_restart, send


@pytest.fixture(scope="module")
def unpacked_nginx():
    return unpack_nginx()


@pytest.fixture
def behind(unpacked_nginx, embedder, tmp_path):
    here = Behind(unpacked_nginx, embedder, tmp_path)
    yield here
    here.stop()


@pytest.mark.deploy
def test_a_rolling_restart_fails_nobody(unpacked_nginx, embedder, tmp_path):
    drain = ("--drain-delay-ms", "3000")
    here = Behind(unpacked_nginx, embedder, tmp_path, *drain)
    try:
        assert rolling_restart(here, embedder, *drain) == []
    finally:
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
