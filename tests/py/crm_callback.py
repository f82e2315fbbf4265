"""Calls Custos back as Zoho CRM and Fxiaoke do, sealed by openssl, right and wrong: crm_callback.py PORT TOKEN KEY.

Prints case, status and answer of each as a line of JSON.
"""

import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

port, token, key = sys.argv[1:]
secret = base64.b64decode(key[:43] + "=")


def send(case, name, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/webhook/{name}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    print(json.dumps({"case": case, "status": status, "answer": text}), flush=True)


def sealed(message, with_token=token, with_secret=secret):
    text = json.dumps(message, ensure_ascii=False).encode()
    plain = os.urandom(16) + struct.pack(">I", len(text)) + text
    # WeChat's way, which theirs follows: blocks of 32.
    padding = 32 - len(plain) % 32
    plain += bytes([padding]) * padding
    command = ["openssl", "enc", "-aes-256-cbc", "-nopad", "-K", with_secret.hex(), "-iv", with_secret[:16].hex()]
    content = base64.b64encode(subprocess.run(command, input=plain, capture_output=True, check=True).stdout).decode()
    now, nonce = str(int(time.time() * 1000)), "n-" + os.urandom(4).hex()
    joined = "".join(sorted([with_token, now, nonce, content]))
    return {"nonce": nonce, "timeStamp": now, "content": content, "sig": hashlib.sha1(joined.encode()).hexdigest()}


change = {"eventType": "object_invalid", "objectApiName": "ContactObj", "objectId": "a1", "note": "客户 ✓"}
send("fxiaoke", "fx", sealed(change))
send("fxiaoke, another token", "fx", sealed(change, with_token="another"))
send("fxiaoke, another key", "fx", sealed(change, with_secret=os.urandom(32)))
send("fxiaoke, no such form", "fx", change)
notice = {"server_time": int(time.time() * 1000), "module": "Leads", "operation": "update", "channel_id": "1",
          "token": token, "ids": ["77", "78"]}
send("zoho", "zoho", notice)
send("zoho, another token", "zoho", notice | {"token": "another"})
