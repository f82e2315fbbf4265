"""Ships events over HTTP at a steady rate, one forced door in each 20th of a second, while one client follows
the alerts; prints how long each took from being sent to being seen, by this process' own clock.

    python3 tests/py/alert_latency.py --port 8080 --token-file DIR/keys/api.token --rate 5000 --secs 15

The server needs the rules in rules/detections. What it measured itself is in /metrics:
custos_alert_shown_after_seconds, from the last event's arrival until the alert goes to a client.
"""

import argparse
import http.client
import json
import threading
import time

TURNS = 20


def follow(port, headers, seen):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/api/v1/stream?topics=alerts", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    while line := answer.readline():
        if line.startswith(b"data: "):
            door = json.loads(line[6:])["entities"][0]["value"]
            seen.append(time.time() - float(door.split("@")[1]))


def batch(size):
    pad = "x" * 400
    for nth in range(size):
        door = f"forced@{time.time():.4f}" if nth == 0 else f"door {nth % 500}"
        event = {"time": "2026-11-24T08:00:00Z", "door": door, "forced": nth == 0, "message": pad}
        yield json.dumps(event) + "\n"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--token-file", required=True)
    arguments.add_argument("--rate", type=int, default=5_000)
    arguments.add_argument("--secs", type=int, default=15)
    asked = arguments.parse_args()
    with open(asked.token_file, encoding="ascii") as file:
        headers = {"Authorization": "Bearer " + file.read().strip()}
    seen = []
    threading.Thread(target=follow, args=(asked.port, headers, seen), daemon=True).start()
    time.sleep(1)
    connection = http.client.HTTPConnection("127.0.0.1", asked.port)
    begun, turns = time.time(), asked.secs * TURNS
    for turn in range(turns):
        body = "".join(batch(asked.rate // TURNS))
        connection.request("POST", "/ingest/v1/doors", body, headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        time.sleep(max(0.0, begun + (turn + 1) / TURNS - time.time()))
    took = time.time() - begun
    time.sleep(3)
    seen.sort()
    print(f"{turns * (asked.rate // TURNS) / took:.0f} events/s for {took:.1f} s; "
          f"{len(seen)} of {turns} alerts seen; after p50 {seen[len(seen) // 2] * 1e3:.0f} ms, "
          f"p99 {seen[len(seen) * 99 // 100] * 1e3:.0f} ms, at most {seen[-1] * 1e3:.0f} ms")


main()
