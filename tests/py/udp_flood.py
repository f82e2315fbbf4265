"""`udp_flood.py HOST:PORT RATE SECONDS`: syslog over UDP at a steady rate, from this machine to itself; prints how many were sent."""

import socket
import sys
import time

host, _, port = sys.argv[1].rpartition(":")
rate, seconds = int(sys.argv[2]), float(sys.argv[3])
if not host.startswith("127."):
    sys.exit("udp_flood.py: this machine only")
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect((host, int(port)))
sent, begun = 0, time.monotonic()
while (passed := time.monotonic() - begun) < seconds:
    while sent < rate * passed:
        out.send(b"<38>Nov 24 03:14:15 gate sshd[%d]: Failed password for root from 192.0.2.7 port 4711 ssh2" % (sent % 65536))
        sent += 1
    time.sleep(0.001)
print(sent)
