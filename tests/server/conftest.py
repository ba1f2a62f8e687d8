"""The built server on a free port, for every test of this folder.

    def test_x(server): requests to server.url               # the tiny models `embedder` and `reader`
    def test_y(real_server): ...                             # minilm and squad-3l; mark the test `real`
    def test_z(start_server, tiny): s = start_server("--queue-items", "4", models=[tiny("slow")])
"""
import pytest
from serving import Server

# No verdict may depend on the machine's speed: what is not about budgets has the longest there is.
# And what is sent is computed, unless the test is about the cache.
PATIENT = ("--budget-ms", "600000", "--drain-timeout-ms", "600000", "--cache-bytes", "0")


@pytest.fixture(scope="session")
def start_server():
    """Starts servers, patient ones unless `options` say otherwise; all are stopped at the end, and have to stop well."""
    started = []

    def start(*options, models, **more):
        server = Server(models, *PATIENT, *options, **more)
        started.append(server)
        return server

    yield start
    faults = []
    for server in started:
        try:
            server.stop()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n\n".join(faults)


@pytest.fixture(scope="session")
def server(start_server, embedder, reader):
    return start_server(models=[embedder, reader])


@pytest.fixture(scope="session")
def real_server(start_server, minilm, squad):
    return start_server(models=[minilm, squad])


@pytest.fixture(scope="session")
def labels_server(start_server, tiny):
    """/predict is the classifier's, /rerank the reranker's."""
    return start_server(models=[tiny("sentiment"), tiny("reranker")])
