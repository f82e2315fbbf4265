#!/usr/bin/env python3
"""Reads a Custos data folder by what FORMAT.md says, without Custos: decrypts every record, makes the tree anew, and
holds it against the signed checkpoints. One JSON line a log; exit 1 if anything does not hold. A gap is none where facts
of the journal say that retention dropped just that (14).

    pip install cryptography zstandard
    python3 custos_reader.py DATA [--key PUB] [--checkpoint FILE] [--master FILE] [--records FILE]

--key is what `custos log key` prints, else the folder's own key; --records writes every record in hex, a line each.
"""
import argparse, base64, functools, hashlib, hmac, itertools, json, os, pathlib, re, struct, sys, zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COMMIT, BLOCK, DICTIONARY, FOOTER = 1, 2, 3, 4
NOTE = re.compile("[^\n/]+/([^\n]+)\n([0-9]+)\n([^\n]+)\n\n\u2014 [^ \n]+ ([^\n]+)\n")  # section 7
sha = lambda data: hashlib.sha256(data).digest()
mac = lambda key, purpose, message=b"": hmac.digest(key, purpose + b"\0" + message, "sha256")

def unwrap(master, wrapped, associated):  # section 8
    return AESGCM(mac(master, b"custos wrap 1", wrapped[:16])).decrypt(bytes(12), wrapped[16:], associated)

def numbers(data, at, count):  # so many varints, and the place after them
    values = []
    while len(values) < count:
        value, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            byte, at = data[at], at + 1
            value, shift = value | (byte & 0x7F) << shift, shift + 7
        values.append(value)
    return values, at

def edge_of(data, at):  # the tree's edge among the sections (4) from `at` on
    edge = []
    while at < len(data):
        (number, length), at = numbers(data, at, 2)
        if number == 3:
            edge = [data[n : n + 32] for n in range(at, at + length, 32)]
        at += length
    return edge

class Tree:
    """RFC 9162, section 2.1, by its right edge (5)."""
    def __init__(self, size=0, peaks=()):
        self.size, self.peaks = size, list(peaks)
    def push(self, record):
        node, size = sha(b"\0" + record), self.size
        while size & 1:
            node, size = sha(b"\1" + self.peaks.pop() + node), size >> 1
        self.peaks.append(node)
        self.size += 1
    def root(self):
        right, *lefts = self.peaks[::-1] or [sha(b"")]
        return functools.reduce(lambda root, left: sha(b"\1" + left + root), lefts, right)

def frames(data, at, key):  # kind, first seq, number of records and raw body of each (3), up to reserved room or a torn end
    dictionary = None
    while data[at : at + 4] == b"CuFr" and len(data) >= at + 96:
        head = struct.unpack_from("<4s4B2H5I5Q2I2q", data, at)
        (header, body, raw), start = head[7:10], at + head[7] + 4
        try:
            packed, nonce = data[start : start + body], bytes(4) + struct.pack("<Q", head[12])
            packed = AESGCM(key).decrypt(nonce, packed, data[at : at + header])
        except InvalidTag:
            return
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary if head[11] else None)
        content = unpacker.decompress(packed, max_output_size=raw)
        dictionary = zstandard.ZstdCompressionDict(content) if head[2] == DICTIONARY else dictionary
        yield head[2], head[16], head[17], content
        at = start + body + 5

def records(kind, count, body):
    (commits,), at = numbers(body, 0, 1) if kind == BLOCK else ([0], 0)
    _, at = numbers(body, at, 3 * commits)  # the commit table is passed over
    lengths, at = numbers(body, at, count)
    ends = list(itertools.accumulate(lengths, initial=at))
    return [body[start:end] for start, end in zip(ends, ends[1:])]

def after(footer):  # size and edge of the tree as a footer has them
    (blocks,), at = numbers(footer, 0, 1)
    _, at = numbers(footer, at, 5 * blocks)  # where each block lies
    (nodes,), at = numbers(footer, at, 1)
    (size,), at = numbers(footer, at + nodes, 1)
    return size, edge_of(footer, at)

def is_told(at, end, dropped):
    for first, last in sorted(dropped):
        at = last + 1 if first <= at <= last else at
    return at == end

def read_log(files, dropped, masters, claims):
    tree, found, faults = Tree(), [], []
    for path in files:
        data = path.read_bytes()
        head = struct.unpack_from("<8sHBBHHII4Qq8s", data)  # section 2
        assert head[0] == b"CUSTOSEG" and head[1] == 1, f"{path} is no segment of version 1"
        signed, wrapped = data[: head[6] - 68], data[head[6] - 68 : head[6] - 4]
        before = Tree(head[9], edge_of(signed, 88))
        if (tree.size, tree.peaks) != (before.size, before.peaks) and not is_told(tree.size, before.size, dropped):
            faults.append(f"{path.name} does not begin where the one before ends")
        tree = before
        for kind, seq, held, body in frames(data, head[6], unwrap(masters[head[13]], wrapped, signed)):
            if kind == FOOTER and after(body) != (tree.size, tree.peaks):
                faults.append(f"{path.name}: the footer is not that of the records")
            if kind in (COMMIT, BLOCK) and seq != tree.size:
                faults.append(f"{path.name}: record {seq} comes after {tree.size} records")
            for record in records(kind, held, body) if kind in (COMMIT, BLOCK) else []:
                tree.push(record)
                found.append(record)
                if any(root != tree.root() for root in claims.get(tree.size, [])):
                    faults.append(f"the first {tree.size} records are not those of a checkpoint")
    return tree, found, faults

def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("data", type=pathlib.Path)
    for option in ("--key", "--checkpoint", "--master", "--records"):
        ask.add_argument(option)
    ask = ask.parse_args()
    master = bytes.fromhex(pathlib.Path(ask.master or ask.data / "keys/master.key").read_text().strip())
    keys = {}
    for held in json.loads((ask.data / "keys/keyring").read_text().split("\n")[0])["keys"]:  # section 8
        associated = held["kind"].encode() + b"\0" + held["name"].encode()
        keys.setdefault(held["kind"], []).append(unwrap(master, bytes.fromhex(held["key"]), associated))
    masters = {mac(key, b"custos master key id 1")[:8]: key for key in [master, *keys.get("master", [])]}
    public = ed25519.Ed25519PrivateKey.from_private_bytes(keys["signing"][0]).public_key()
    if ask.key:
        public = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(ask.key.split()[0].split("+", 2)[2])[1:])
    claims, out = {}, open(ask.records or os.devnull, "w")
    for path in [*ask.data.glob("checkpoints/*.notes"), *map(pathlib.Path, filter(None, [ask.checkpoint]))]:
        for note in NOTE.finditer(path.read_text()):
            public.verify(base64.b64decode(note[4])[4:], note[0].split("\n\n")[0].encode() + b"\n")  # else raises
            claims.setdefault(note[1], {}).setdefault(int(note[2]), []).append(base64.b64decode(note[3]))
    dropped, lines = {}, []
    for folder in [ask.data / "journal", *sorted(ask.data.glob("telemetry*"))]:  # the journal tells of the others' gaps
        held, files = claims.get(folder.name, {}), sorted(folder.glob("[0-9]*.seg"))
        tree, found, faults = read_log(files, dropped.get(folder.name, []), masters, held)
        for fact in (it for it in found if folder.name == "journal" and b'{"type":"segments_dropped"' in it):
            event = json.loads(fact[1:])["fact"]["event"]
            dropped.setdefault(event["log"], []).append((event["first"], event["last"]))
        faults += [f"a checkpoint speaks of {size} records" for size in held if size > tree.size]
        line = {"log": folder.name, "records": len(found), "root": tree.root().hex(), "checkpoints": len(held)}
        lines.append((line | {"faults": faults}, found))
    for line, found in lines[1:] + lines[:1]:
        out.writelines(record.hex() + "\n" for record in found)
        print(json.dumps(line))
    return int(any(line["faults"] for line, _ in lines))

sys.exit(main())
