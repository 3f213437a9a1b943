#!/usr/local/bin/python3
"""A mail sink with mailpit's ports and paths: takes every message over SMTP, keeps it in memory, lists it over HTTP.

GET /livez, /readyz, /api/v1/info, /api/v1/messages, /api/v1/search?query=TEXT, /api/v1/message/ID (`latest` too),
/api/v1/message/ID/raw; DELETE /api/v1/messages. `mailpit readyz` asks a running one.
"""

import email
import email.policy
import email.utils
import json
import signal
import socketserver
import sys
import threading
import urllib.request
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LIMIT = 500  # messages kept, as mailpit does by default


class Box:
    """The messages, newest first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: list[tuple[dict[str, object], bytes]] = []

    def add(self, raw: bytes, recipients: list[str]) -> str:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        summary = summarise(message, raw, recipients)
        with self.lock:
            self.rows.insert(0, (summary, raw))
            del self.rows[LIMIT:]
        return str(summary["ID"])

    def find(self, words: str = "") -> list[dict[str, object]]:
        with self.lock:
            return [row for row, raw in self.rows if words.lower() in (str(row) + raw.decode(errors="replace")).lower()]

    def get(self, key: str) -> tuple[dict[str, object], bytes] | None:
        with self.lock:
            return next((row for row in self.rows if key in ("latest", row[0]["ID"])), None)

    def clear(self) -> None:
        with self.lock:
            self.rows.clear()


def addresses(message: EmailMessage, field: str) -> list[dict[str, str]]:
    pairs = email.utils.getaddresses([str(value) for value in message.get_all(field, [])])
    return [{"Name": name, "Address": address} for name, address in pairs if address]


def part_text(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return str(body.get_content()) if body is not None else ""


def summarise(message: EmailMessage, raw: bytes, recipients: list[str]) -> dict[str, object]:
    named = {row["Address"] for field in ("To", "Cc") for row in addresses(message, field)}
    return {
        "ID": uuid.uuid4().hex[:22],
        "MessageID": str(message["Message-ID"] or "").strip("<>"),
        "Read": False,
        "From": (addresses(message, "From") or [{"Name": "", "Address": ""}])[0],
        "To": addresses(message, "To"),
        "Cc": addresses(message, "Cc"),
        "Bcc": [{"Name": "", "Address": address} for address in recipients if address not in named],
        "ReplyTo": addresses(message, "Reply-To"),
        "Subject": str(message["Subject"] or ""),
        "Created": datetime.now(UTC).isoformat(),
        "Tags": [],
        "Size": len(raw),
        "Attachments": sum(1 for _ in message.iter_attachments()),
        "Snippet": " ".join(part_text(message, "plain").split())[:250],
    }


BOX = Box()


class Smtp(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 for a client that wants to be rid of a message; any login is accepted."""

    def answer(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        recipients: list[str] = []
        self.answer("220 stand-in ESMTP ready")
        while row := self.rfile.readline(4096):
            verb, _, rest = row.decode(errors="replace").strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    self.answer("250-stand-in\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN")
                case "AUTH":
                    self.login(rest)
                case "MAIL" | "RSET" | "HELO" | "NOOP":
                    recipients = recipients if verb.upper() == "NOOP" else []
                    self.answer("250 OK")
                case "RCPT":
                    recipients.append(email.utils.parseaddr(rest.partition(":")[2])[1])
                    self.answer("250 OK")
                case "DATA" if not recipients:
                    self.answer("503 RCPT first")
                case "DATA":
                    self.answer("354 end with a line that holds one dot")
                    self.answer(f"250 OK queued as {BOX.add(self.data(), recipients)}")
                    recipients = []
                case "QUIT":
                    return self.answer("221 bye")
                case _:
                    self.answer("502 not implemented")
        return None

    def login(self, rest: str) -> None:
        method, _, initial = rest.partition(" ")
        for prompt in (("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6") if method.upper() == "LOGIN" else ("334 ",))[
            bool(initial) :
        ]:
            self.answer(prompt)
            self.rfile.readline(4096)
        self.answer("235 welcome")

    def data(self) -> bytes:
        rows = []
        while (row := self.rfile.readline()) not in (b".\r\n", b".\n", b""):
            rows.append(row[1:] if row.startswith(b".") else row)
        return b"".join(rows)


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        match parts.path.rstrip("/").split("/")[1:]:
            case ["livez"] | ["readyz"]:
                self.reply(b"ok", "text/plain")
            case ["api", "v1", "info"]:
                self.json({"Version": "stand-in", "Messages": len(BOX.find())})
            case ["api", "v1", ("messages" | "search")]:
                query = parse_qs(parts.query)
                start, limit = (int(query.get(key, [str(number)])[0]) for key, number in (("start", 0), ("limit", 50)))
                found, total = BOX.find(query.get("query", [""])[0]), len(BOX.find())
                page = found[start : start + limit]
                counts = {
                    "total": total,
                    "unread": total,
                    "count": len(page),
                    "messages_count": len(found),
                    "start": start,
                }
                self.json({**counts, "tags": [], "messages": page})
            case ["api", "v1", "message", key, *raw] if (row := BOX.get(key)) is not None:
                message = email.message_from_bytes(row[1], policy=email.policy.default)
                bodies = {"Text": part_text(message, "plain"), "HTML": part_text(message, "html")}
                self.reply(row[1], "text/plain") if raw == ["raw"] else self.json({**row[0], **bodies})
            case [] | [""]:
                self.reply("\n".join(f"{row['From']}: {row['Subject']}" for row in BOX.find()).encode(), "text/plain")
            case _:
                self.reply(b"not found", "text/plain", 404)

    def do_DELETE(self) -> None:
        BOX.clear()
        self.reply(b"ok", "text/plain")

    def json(self, value: object) -> None:
        self.reply(json.dumps(value).encode(), "application/json")

    def reply(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line."""


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    if sys.argv[1:2] == ["readyz"]:
        urllib.request.urlopen("http://127.0.0.1:8025/readyz", timeout=2)
        return
    # The first process of a container has no default action for signals: without this `stop` waits ten seconds.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    threading.Thread(target=Server(("0.0.0.0", 1025), Smtp).serve_forever, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", 8025), Web).serve_forever()


if __name__ == "__main__":
    main()
