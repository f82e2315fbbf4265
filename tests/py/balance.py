"""`balance.py METRICS-URL DATAGRAMS-SENT SHIPPED...`: whether all that was offered is stored, rejected or counted as lost.

SHIPPED: what `custos bench ship` printed. Waits until the server's counts stand still: the kernel's own count of datagrams
that nobody took is read every few seconds.
"""

import json
import re
import sys
import time
import urllib.request


def metrics():
    text = urllib.request.urlopen(sys.argv[1]).read().decode()
    found = re.findall(r"^(custos_[a-z_]+)(?:\{([^}]*)\})? ([0-9.e+]+)$", text, re.M)
    # The index and the rules are behind by then, and go on counting.
    return {(name, labels): float(value) for name, labels, value in found if name.startswith(("custos_ingest", "custos_udp"))}


def total(now, name, label):
    return int(sum(value for (key, labels), value in now.items() if key == name and label in labels))


now, before = metrics(), None
while now != before:
    time.sleep(6)
    now, before = metrics(), now
shipped = [json.loads(open(path).read().splitlines()[-1]) for path in sys.argv[3:]]
delivered, failed = (sum(one[key] for one in shipped) for key in ("delivered", "failed"))
sent = int(sys.argv[2])
taken = {of: [total(now, f"custos_ingest_{what}_total", f'source="{of}:') for what in ("received", "stored", "rejected")]
         for of in ("listener", "syslog")}
lost = total(now, "custos_udp_dropped_total", "")
print(f"shippers: {delivered:,} acknowledged, {failed:,} failed, {sum(one['events_per_second'] for one in shipped):,.0f} events/s in all")
print(f"listener: {taken['listener'][0]:,} received = {taken['listener'][1]:,} stored + {taken['listener'][2]:,} rejected")
print(f"datagrams: {sent:,} sent = {taken['syslog'][0]:,} received + {lost:,} counted as lost by the kernel")
for of, (received, stored, rejected) in taken.items():
    assert received == stored + rejected, of
assert failed == 0 and delivered == taken["listener"][0], "what was acknowledged is not what was received"
assert sent == taken["syslog"][0] + lost, "datagrams are missing that nobody counted"
