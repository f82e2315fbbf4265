"""Sends webhooks as services sign them, right and wrong; prints the status and the reason of each as a line of JSON."""

import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.request

port, folder = sys.argv[1], sys.argv[2]


def secret(name):
    with open(f"{folder}/{name}.secret", "rb") as file:
        return file.read().strip()


def digest(key, text):
    return hmac.new(key, text, hashlib.sha256)


def send(case, name, body, headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/webhook/{name}", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    print(json.dumps({"case": case, "status": status, "answer": json.loads(text)}), flush=True)


def stripe(key, body, at):
    return {"Stripe-Signature": f"t={at},v1={digest(key, b'%d.' % at + body).hexdigest()}"}


body = json.dumps({"id": "evt_7", "note": "пример ✓", "kind": "webhook-test"}, ensure_ascii=False).encode()
now = int(time.time())

send("github", "code", body, {"X-Hub-Signature-256": "sha256=" + digest(secret("code"), body).hexdigest()})
send("gophish", "drill", body, {"X-Gophish-Signature": "sha256=" + digest(secret("drill"), body).hexdigest()})
send("stripe", "payments", body, stripe(secret("payments"), body, now))
send("stripe, four minutes old", "payments", body, stripe(secret("payments"), body, now - 240))
send("base64", "shop", body, {"X-Shop-Hmac-Sha256": base64.b64encode(digest(secret("shop"), body).digest()).decode()})
many = b"[" + b",".join([body] * 3) + b"]"
send("three at once", "code", many, {"X-Hub-Signature-256": "sha256=" + digest(secret("code"), many).hexdigest()})

send("another's secret", "code", body, {"X-Hub-Signature-256": "sha256=" + digest(secret("drill"), body).hexdigest()})
send("another body", "code", body + b" ", {"X-Hub-Signature-256": "sha256=" + digest(secret("code"), body).hexdigest()})
send("sha1", "code", body, {"X-Hub-Signature-256": "sha1=" + hmac.new(secret("code"), body, hashlib.sha1).hexdigest()})
send("no signature", "code", body, {})
send("ten minutes old", "payments", body, stripe(secret("payments"), body, now - 600))
send("ten minutes ahead", "payments", body, stripe(secret("payments"), body, now + 600))
fresh = stripe(secret("payments"), body, now - 600)["Stripe-Signature"].replace(str(now - 600), str(now))
send("old, said to be fresh", "payments", body, {"Stripe-Signature": fresh})
send("no token", "doors", body, {})
send("a guessed token", "doors", body, {"Authorization": "Bearer guessed"})
