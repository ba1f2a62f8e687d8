"""The built server on a free port, for every test of this folder.

    def test_x(server): requests to server.url               # default models: minilm and squad-3l
    def test_y(tiny_server): raw = tiny_server.connect()     # two layers of random weights: fast to start
    def test_z(start_server): s = start_server("--queue-items", "4", models=[tiny_embed])
"""
import pytest
from serving import ROOT, Server


@pytest.fixture(scope="session")
def minilm():
    path = ROOT / "models" / "minilm"
    if not (path / "config.json").exists():
        pytest.skip("models/minilm is missing: tools/fetch-model")
    return path


@pytest.fixture(scope="session")
def squad():
    return ROOT / "models" / "squad-3l"


@pytest.fixture(scope="session")
def tiny_embed(tmp_path_factory):
    from make_model import make_model

    path = tmp_path_factory.mktemp("models") / "tiny-embed"
    make_model(path, layers=2, hidden=64, heads=4, feed_forward=128)
    return path


@pytest.fixture(scope="session")
def start_server():
    """Starts servers; all of them are stopped at the end, and have to stop well."""
    started = []

    def start(*options, models, **more):
        server = Server(models, *options, **more)
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


# Tests that are not about budgets shall not fail on a busy machine.
PATIENT = ("--budget-ms", "60000")


@pytest.fixture(scope="session")
def server(start_server, minilm, squad):
    return start_server(*PATIENT, models=[minilm, squad])


@pytest.fixture(scope="session")
def f32_server(start_server, minilm, squad):
    """What the commands' default precision gives, bit for bit."""
    return start_server(*PATIENT, "--precision", "f32", models=[minilm, squad])


@pytest.fixture(scope="session")
def tiny_server(start_server, tiny_embed):
    return start_server(models=[tiny_embed])


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    from make_model import make_model

    path = tmp_path_factory.mktemp("models") / "sentiment"
    make_model(path, layers=2, hidden=64, heads=4, feed_forward=128, head="labels", labels=3,
               label_names=["negative", "neutral", "positive"], pooler=True)
    return path


@pytest.fixture(scope="session")
def reranker(tmp_path_factory):
    from make_model import make_model

    path = tmp_path_factory.mktemp("models") / "reranker"
    make_model(path, layers=2, hidden=64, heads=4, feed_forward=128, head="labels", labels=1, pooler=True, seed=2)
    return path


@pytest.fixture(scope="session")
def labels_server(start_server, classifier, reranker):
    """/predict is the classifier's, /rerank the reranker's."""
    return start_server(*PATIENT, models=[classifier, reranker])
