"""One rank of two on two hosts, without MPI: says what it sees of its host, and measures the link.

    peer.py FOLDER [ROUND-TRIPS [BYTES]]    writes FOLDER/RANK.json; rank 0 sends so many datagrams to rank 1, waiting
                                            for each to come back, then so many bytes until rank 1 has them all
"""

import json
import os
import pathlib
import socket
import statistics
import sys
import time

ADDRESSES = [("10.77.0.1", 7701), ("10.77.0.2", 7701)]
LIMIT_S = 60  # only to end what hangs


def wait_for_stream(count):
    with socket.create_server(ADDRESSES[1]) as server:
        yield
        server.settimeout(LIMIT_S)
        connection, _ = server.accept()
        with connection:
            while count > 0:
                count -= len(connection.recv(1 << 20))
            connection.sendall(b".")
    yield


def answer(count):
    stream = wait_for_stream(count)
    next(stream)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(LIMIT_S)
        link.bind(ADDRESSES[1])
        word = b""
        while word != b"end":
            word, sender = link.recvfrom(64)
            link.sendto(word, sender)
    if count:
        next(stream)


def round_trip(link, word):
    """How long `word` took there and back; what comes late of earlier ones is passed over."""
    start = time.perf_counter()
    link.sendto(word, ADDRESSES[1])
    while link.recv(64) != word:
        pass
    return time.perf_counter() - start


def round_trips(trips):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(ADDRESSES[0])
        # The other may not be there yet.
        link.settimeout(0.2)
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                round_trip(link, b"hello")
                break
            except (TimeoutError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
        link.settimeout(LIMIT_S)
        times = [round_trip(link, b"%d" % trip) for trip in range(trips)]
        round_trip(link, b"end")
    return {"min": min(times), "median": statistics.median(times)}


def stream_s(count):
    with socket.create_connection(ADDRESSES[1], LIMIT_S) as connection:
        start = time.perf_counter()
        connection.sendall(bytes(count))
        connection.recv(1)
        return time.perf_counter() - start


def main():
    trips, count = (int(word) for word in (sys.argv[2:] + ["0", "0"])[:2])
    rank = int(os.environ["OMPI_COMM_WORLD_RANK"])
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    seen = {"rank": rank, "host": socket.gethostname(), "boot_id": boot_id, "realtime_s": time.time(),
            "monotonic_s": time.clock_gettime(time.CLOCK_MONOTONIC),
            "boottime_s": time.clock_gettime(time.CLOCK_BOOTTIME)}
    if trips and rank == 0:
        seen["round_trip_s"] = round_trips(trips)
        if count:
            seen["stream_s"] = stream_s(count)
    elif trips:
        answer(count)
    # Not to stdout, where mpirun mixes what ranks print.
    pathlib.Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
