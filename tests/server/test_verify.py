"""--verify-ppm: answers computed again, alone, when the server is idle."""
import random
import threading

from serving import ask, metric, wait_for


def send_mixed(server, requests, clients=4):
    """Requests of different sizes from several clients at once; how many sequences they held."""
    words = "the weather in berlin tomorrow and the day after that is mild with some rain".split()
    sequences = []

    def client(number):
        dice = random.Random(number)
        for _ in range(requests):
            inputs = [" ".join(dice.choices(words, k=dice.randint(1, 40))) for _ in range(dice.randint(1, 3))]
            answer = ask(server, "/embed", {"inputs": inputs})
            assert answer.status == 200
            sequences.append(len(inputs))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sequences) == clients * requests
    return sum(sequences)


def counts(server):
    return {name: metric(server, f"querent_verify_{name}_total ") for name in ("checked", "mismatches", "dropped")}


def test_all_answers_are_checked_and_right(start_server, embedder):
    """Every sequence is checked, or dropped when more wait than the line holds; none differs."""
    server = start_server("--verify-ppm", 1000000, models=[embedder])
    # The loader's own requests do not come through the listener, and are not offered.
    sent = send_mixed(server, 40)
    wait_for(lambda: sum(counts(server).values()) >= sent, "the line to be empty")
    found = counts(server)
    assert found["checked"] > 0 and found["mismatches"] == 0
    assert found["checked"] + found["dropped"] == sent
    assert "verify:" not in server.log


def test_off_by_default(server):
    send_mixed(server, 3, clients=1)
    assert counts(server) == {"checked": 0, "mismatches": 0, "dropped": 0}


def test_by_tolerance_where_bits_depend_on_the_batch(start_server, embedder):
    """OpenBLAS, which the reference target uses at f32, promises no bits, but numbers."""
    server = start_server("--verify-ppm", 1000000, "--precision", "f32", models=[embedder], env={"QUERENT_ISA": "ref"})
    sent = send_mixed(server, 10)
    wait_for(lambda: sum(counts(server).values()) >= sent, "the line to be empty")
    found = counts(server)
    assert found["checked"] > 0 and found["mismatches"] == 0
    assert "verify:" not in server.log
