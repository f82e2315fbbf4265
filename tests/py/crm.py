"""Stands in for Zoho CRM or Fxiaoke: replays their documented shapes, each fault once, and says what it has.

crm.py zoho|fxiaoke PORT FAULTS, where FAULTS is a list of FAULT@PATH-PART[+N] with commas, taken in order
where the path fits, N times later where that is said. `touch@contacts` changes a contact while its pages are read, once.
GET /stand-in/expected gives what has to be stored of the logs in the end, GET /stand-in/contacts the contacts as they are, GET
/stand-in/report how it was asked.
"""

import csv
import io
import json
import random
import re
import sys
import threading
import time
import urllib.parse
import zipfile
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

system, port = sys.argv[1], int(sys.argv[2])
faults = [[*fault.replace("+", "@").split("@"), "0"][:3] for fault in sys.argv[3].split(",") if fault]
touching = any(fault[0] == "touch" for fault in faults)
faults = [fault for fault in faults if fault[0] != "touch"]
lock = threading.Lock()
dice = random.Random(7)
# Three days back, at midnight: where the test's configuration begins, so that stretches end at midnight too.
begin = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
here = f"http://127.0.0.1:{port}"
report = {"begin": begin.isoformat().replace("+00:00", "Z"), "grants": [], "overlaps": 0, "faults": [], "wrong": [], "calls": 0}
tokens, granting, exports = set(), 0, {}
SECRETS = {"client": "client-secret-of-this-test", "refresh": "refresh-token-of-this-test",
           "app": "app-secret-of-this-test", "code": "permanent-code-of-this-test"}


def audit_rows():
    """Rows of three days: many in one second, some at midnight, some the same in all, some with what CSV finds hard."""
    at = [begin + timedelta(seconds=dice.randrange(3 * 86_400)) for _ in range(3_000)]
    at += [begin + timedelta(days=day, seconds=second) for day in (1, 2) for second in (-1, 0, 1) for _ in range(3)]
    at += [begin + timedelta(hours=30)] * 9_000
    rows = []
    for nth, moment in enumerate(at):
        zone = timezone(timedelta(hours=(0, 1, 8)[nth % 3]))
        hard = ('plain', 'say "so", twice', "two\nlines", "über ☃", "")[nth % 5]
        rows.append([("mia", "al")[nth % 2], ("Leads", "Contacts")[nth % 2], "Updated",
                     moment.astimezone(zone).isoformat(), hard, f"z-{nth}", f"new {nth}", "web"])
    return rows + rows[:2]


HEADERS = [
    ["User", "Module", "Action", "Audited Time", "Record Name", "Record ID", "New Value", "Source"],
    ["DONE BY", "MODULE", "ACTION", "AUDITED TIME", "RECORD NAME", "RECORD ID", "NEW VALUE", "SOURCE"],
    ["user name", "module", "action", "time", "record name", "record id", "New Value", "Source"],
]


def export_of(rows):
    """As a file or, where there are many, a ZIP of such; in another order and under another header each time."""
    dice.shuffle(rows)

    def text(some):
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(HEADERS[len(exports) % 3])
        writer.writerows(some)
        return "\ufeff".encode() + out.getvalue().encode()

    if len(rows) <= 1_000:
        return text(rows), "AuditLog.csv"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in range(0, len(rows), 4_000):
            archive.writestr(f"AuditLog_{part}.csv", text(rows[part:part + 4_000]))
    return out.getvalue(), "AuditLog.zip"


def people():
    """Records of two objects with their change logs; some changed on later days again."""
    records = {}
    for nth in range(260):
        name = "ContactObj" if nth < 230 else "AccountObj"
        made = begin + timedelta(seconds=dice.randrange(2 * 86_400))
        # The 230 contacts are changed at once, in the same millisecond: more than two pages.
        times = [made, begin + timedelta(hours=50)] if nth < 230 else [made]
        log = [entry(f"{nth}-{at}", moment) for at, moment in enumerate(times)]
        records[f"{nth:024x}"] = {"object": name, "log": log}
    return records


def millis(moment):
    return int(moment.timestamp() * 1_000)


def entry(name, moment):
    return {"logID": f"L{name}", "logMsg": "电话: 1 → 2", "owner": {"employeeID": "1001", "name": "王"},
            "operationTime": millis(moment), "operationType": "2", "operationLabel": "编辑"}


def contacts_of_zoho():
    """Contacts of twenty years; 2,600 of them changed in one second, as by an import: more than a page of 2,000."""
    contacts = []
    for nth in range(2_900):
        changed = begin - timedelta(days=nth) if nth < 300 else begin + timedelta(hours=7)
        zone = timezone(timedelta(hours=(0, 1, 8)[nth % 3]))
        contacts.append({
            "id": str(5_000_000_000_000 + nth), "Customer_No": f"Z-{nth}", "Full_Name": f"Zaunkönig Nr{nth}",
            "Email": f"z{nth}@customers.example", "Mobile": None if nth % 2 else f"+49 1511 {nth:07}",
            "Phone": f"+49 30 {nth:07}", "Owner": {"id": "9"}, "Modified_Time": changed.astimezone(zone).isoformat(),
            "Description": "kept-by-nobody",
        })
    return contacts


COQL = re.compile(r"select ([\w, ]+) from Contacts where \(*Modified_Time >= '([^']+)' and Modified_Time < '([^']+)'\)"
                  r"(?: and id > '(\d+)'\))? order by id asc limit (\d+)")


def queried(query):
    """What Zoho answers to a query, by the only kind of it that is expected."""
    asked = COQL.fullmatch(query)
    if not asked or int(asked[5]) > 2_000:
        report["wrong"].append(query)
        return 400, {"code": "INVALID_QUERY", "details": {}, "message": "so", "status": "error"}
    names = asked[1].split(", ")
    if unknown := [name for name in names if name not in contacts[0]]:
        return 400, {"code": "INVALID_QUERY", "details": {"column_name": unknown[0]}, "message": "invalid", "status": "error"}
    if asked[4]:
        touch()
    first, end = (datetime.fromisoformat(text) for text in asked.group(2, 3))
    found = [one for one in contacts if first <= datetime.fromisoformat(one["Modified_Time"]) < end and one["id"] > (asked[4] or "")]
    if not found:
        return 204, b""
    page = [{name: one[name] for name in names} for one in found[:int(asked[5])]]
    return 200, {"data": page, "info": {"count": len(page), "more_records": len(found) > len(page)}}


def touch():
    """The last contact is changed, once, while the pages before its own are read."""
    global touching
    with lock:
        if not touching:
            return
        touching = False
        report["faults"].append("touch")
        now = datetime.now(timezone.utc)
        if system == "zoho":
            contacts[-1].update(Email="moved@customers.example", Modified_Time=now.isoformat(timespec="seconds"))
        else:
            records[f"{229:024x}"]["log"].append(entry("touched", now))


audit = audit_rows() if system == "zoho" else []
contacts = contacts_of_zoho() if system == "zoho" else []
records = people() if system == "fxiaoke" else {}


class Peer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.take(None)

    def do_POST(self):
        self.take(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def take(self, body):
        if self.path == "/stand-in/report":
            return self.answer(200, report)
        if self.path == "/stand-in/expected":
            return self.answer(200, expected())
        if self.path == "/stand-in/contacts":
            return self.answer(200, known())
        with lock:
            report["calls"] += 1
            fault = faults[0][0] if faults and faults[0][1] in self.path else None
            if fault and faults[0][2] != "0":
                faults[0][2] = str(int(faults[0][2]) - 1)
                fault = None
            if fault:
                faults.pop(0)
                report["faults"].append(fault)
        if fault and self.fail(fault):
            return None
        try:
            return (self.zoho if system == "zoho" else self.fxiaoke)(body)
        except BrokenPipeError:
            return None

    def fail(self, fault):
        if fault.isdigit():
            status = int(fault)
            code = {401: "INVALID_TOKEN", 429: "TOO_MANY_REQUESTS", 403: "NO_PERMISSION"}.get(status, "")
            self.answer(status, {"code": code, "message": "so"} if code else b"<html>busy</html>")
        elif fault.startswith("code"):
            self.answer(200, {"errorCode": int(fault[4:]), "errorMessage": "说明"})
        elif fault == "error200":
            self.answer(200, {"error": "invalid_code"})
        elif fault == "elsewhere":
            self.answer(200, {"access_token": "leaked", "api_domain": "http://169.254.169.254", "expires_in": 3600})
        elif fault == "redirect":
            self.answer(302, b"", [("Location", "http://127.0.0.1:9/")])
        elif fault == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"0123456789abcde\n" * 65_536)
            except OSError:
                pass
        elif fault == "expire":
            tokens.clear()
            return False
        elif fault == "change":
            with lock:
                one = records[f"{5:024x}"]
                one["log"].append(entry("late", datetime.now(timezone.utc)))
            return False
        return True

    def grant(self, good, shape):
        global granting
        with lock:
            granting += 1
            report["overlaps"] += granting > 1
            report["grants"].append(time.time())
        token = f"token-of-this-test-{len(report['grants'])}"
        if good:
            tokens.add(token)
        self.answer(200, shape(token) if good else {"error": "invalid_client", "errorCode": 10_004})
        with lock:
            granting -= 1

    def zoho(self, body):
        if self.path == "/oauth/v2/token":
            form = dict(urllib.parse.parse_qsl(body.decode()))
            good = form == {"grant_type": "refresh_token", "client_id": "1000.TEST",
                            "client_secret": SECRETS["client"], "refresh_token": SECRETS["refresh"]}
            return self.grant(good, lambda token: {"access_token": token, "api_domain": here, "token_type": "Bearer",
                                                   "expires_in": 3600})
        if self.headers.get("Authorization", "").removeprefix("Zoho-oauthtoken ") not in tokens:
            return self.answer(401, {"code": "INVALID_TOKEN", "message": "invalid oauth token", "status": "error"})
        if self.path == "/crm/v8/coql":
            return self.answer(*queried(json.loads(body)["select_query"]))
        if body is not None:
            criteria = json.loads(body)["audit_log_export"][0]["criteria"]
            if criteria["field"] != {"api_name": "audited_time"} or criteria["comparator"] != "between":
                report["wrong"].append(criteria)
            first, last = (datetime.fromisoformat(text) for text in criteria["value"])
            with lock:
                name = str(len(exports) + 1)
                exports[name] = [export_of([r for r in audit if first <= datetime.fromisoformat(r[3]) <= last]), 0]
            return self.answer(201, {"audit_log_export": [{"code": "SCHEDULED", "status": "success", "message": "so",
                                                           "details": {"id": name}}]})
        name = self.path.split("/")[-1 if "settings" in self.path else -2]
        (content, file), asked = exports[name]
        if "settings" not in self.path:
            return self.answer(200, content, [("Content-Type", "application/octet-stream")])
        exports[name][1] += 1
        if asked == 0:
            return self.answer(204, b"")
        links = [f"{here}/v2/crm/1/auditlog/{name}/{file}"]
        return self.answer(200, {"audit_log_export": [{"id": name, "status": "Finished", "download_links": links}]})

    def fxiaoke(self, body):
        path, _, query = self.path.partition("?")
        body = json.loads(body)
        if not query.startswith("thirdTraceId="):
            report["wrong"].append(self.path)
        if path in ("/oauth2.0/token", "/cgi/corpAccessToken/get/V2"):
            name = "accessToken" if path == "/oauth2.0/token" else "corpAccessToken"
            good = (body["appId"], body["appSecret"], body["permanentCode"]) == ("FSAID_1", SECRETS["app"], SECRETS["code"])
            return self.grant(good, lambda token: {"errorCode": 0, name: token, "expiresIn": 7200, "corpId": "FSCID_1",
                                                   "openUserId": "FSUID_1", "ea": "bank"})
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        is_new = shown in tokens and self.headers["x-fs-ea"] == "bank" and self.headers["x-fs-userid"] == "FSUID_1"
        is_old = body.get("corpAccessToken") in tokens and body["corpId"] == "FSCID_1" and body["currentOpenUserId"] == "u1"
        if not (is_new or is_old):
            return self.answer(200, {"errorCode": 20016, "errorMessage": "token"})
        data = body["data"]
        if path == "/cgi/crm/v2/data/query":
            return self.answer(200, {"errorCode": 0, "data": {"dataList": found(data), "offset": 0, "limit": 100}})
        log = records[data["objectId"]]["log"]
        log = [one for one in log if data["operationTimeFrom"] <= one["operationTime"] <= data["operationTimeTo"]]
        # One a page, so that there are pages.
        page = log[data["pageNumber"] - 1:data["pageNumber"]]
        return self.answer(200, {"errorCode": 0, "data": {"modifyRecordList": page, "pageInfo": {"pageCount": len(log)}}})


def found(data):
    """At most a hundred, in the order of their ids; each filter holds."""
    info = data["search_query_info"]
    if info["orders"] != [{"fieldName": "_id", "isAsc": True}] or info["limit"] > 100:
        report["wrong"].append(info)
    names = [(one["field_name"], one["operator"]) for one in info["filters"]]
    if ("last_modified_time", "LT") in names and ("_id", "GT") in names:
        touch()
    rows = []
    for name, record in sorted(records.items()):
        if record["object"] != data["dataObjectApiName"]:
            continue
        nth = int(name, 16)
        row = {"_id": name, "last_modified_time": record["log"][-1]["operationTime"], "customer_no__c": f"F-{nth}",
               "name": f"孔雀{nth}号", "email": f"f{nth}@customers.example", "mobile1": f"+86 138 {nth:08}",
               "create_time": record["log"][0]["operationTime"], "last_modified_by": ["1001"], "owner": ["1002"],
               "remark": "kept-by-nobody", "is_deleted": False, "life_status": "normal"}
        compare = {"GTE": lambda a, b: a >= b, "LT": lambda a, b: a < b, "GT": lambda a, b: a > b}
        holds = lambda f: compare[f["operator"]](row[f["field_name"]], type(row[f["field_name"]])(f["field_values"][0]))
        if all(holds(one) for one in info["filters"]):
            rows.append(row)
    return rows[:info["limit"]]


def expected():
    if system == "zoho":
        return [f"{row[5]} {row[6]} {row[4]}" for row in audit]
    return [one["logID"] for record in records.values() for one in record["log"]]


def known():
    """Contacts as they are now: record, and when it was changed as the system writes it."""
    if system == "zoho":
        return [f"{one['id']} {one['Modified_Time']}" for one in contacts]
    people = [(name, one) for name, one in records.items() if one["object"] == "ContactObj"]
    return [f"{name} {one['log'][-1]['operationTime']}" for name, one in people]


print("ready", file=sys.stderr, flush=True)
ThreadingHTTPServer(("127.0.0.1", port), Peer).serve_forever()
