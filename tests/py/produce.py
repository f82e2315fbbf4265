"""Sends each line of a file as one record by an idempotent confluent-kafka producer.

Goes on through restarts of the server, ends when every line was acknowledged, and writes one
"LINE PARTITION OFFSET" to the report for each acknowledgement. Exit 1 if a line was given up.
"""

import argparse
import sys
import time

from confluent_kafka import Producer

# Records that librdkafka may hold before we wait for acknowledgements.
QUEUE_MAX = 20_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--codec", default="none")
    parser.add_argument("--rate", type=int, default=0, help="lines a second at most; 0: no limit")
    parser.add_argument("--report", required=True)
    parser.add_argument("file")
    return parser.parse_args()


def producer(brokers, codec):
    return Producer(
        {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,
            "compression.type": codec,
            "linger.ms": 5,
            "queue.buffering.max.messages": QUEUE_MAX,
            # The server is killed and comes back within seconds; ten minutes of patience is for
            # a machine that is busy with other tests.
            "message.timeout.ms": 600_000,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "retry.backoff.ms": 50,
            "log_level": 2,
        }
    )


def main():
    args = arguments()
    client = producer(args.brokers, args.codec)
    failures = []
    with open(args.report, "w", encoding="ascii") as report:

        def delivered(line):
            def done(error, message):
                if error is not None:
                    failures.append(f"line {line}: {error}")
                else:
                    report.write(f"{line} {message.partition()} {message.offset()}\n")

            return done

        started = time.monotonic()
        with open(args.file, "rb") as lines:
            for number, line in enumerate(lines):
                if args.rate:
                    due = started + number / args.rate
                    while (early := due - time.monotonic()) > 0:
                        client.poll(early)
                while True:
                    try:
                        value = line.rstrip(b"\r\n")
                        client.produce(args.topic, value, on_delivery=delivered(number))
                        break
                    except BufferError:
                        client.poll(0.1)
                client.poll(0)
        left = client.flush(600)
    if left or failures:
        print(f"{left} lines unacknowledged, {len(failures)} given up", file=sys.stderr)
        print("\n".join(failures[:10]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
