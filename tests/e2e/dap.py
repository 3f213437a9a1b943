"""A client of the Debug Adapter Protocol, as an editor attaches to a debugger: messages of JSON with a Content-Length."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

Message = dict[str, Any]


def _is_refusal(message: Message) -> bool:
    assert message.get("success", True), message
    return False


class DapClient:
    """One attached client. `configuration`: one of launch.json, with its variables expanded, as VS Code sends it."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self._configuration = configuration
        address = configuration["connect"]
        self._socket = socket.create_connection((address["host"], address["port"]), timeout=60)
        self._socket.settimeout(None)  # nothing arrives while the program is at a breakpoint
        self._numbers = itertools.count(1)
        self._messages: list[Message] = []
        self._arrived = threading.Condition()
        self._closed = False
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> DapClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach, as an editor does; the program continues."""
        with suppress(OSError, AssertionError):
            self.request("disconnect", terminateDebuggee=False)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def attach(self, breakpoints: Mapping[Path, Sequence[int]]) -> dict[Path, list[bool]]:
        """Attach with breakpoints, by file on the host; returns which of them the debugger has verified."""
        self.request("initialize", adapterID="odpm-test", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
        attached = self._send("attach", **self._configuration)
        self._take(lambda message: message.get("event") == "initialized" or _is_refusal(message), "initialized", 60)
        verified = {file: self.set_breakpoints(file, lines) for file, lines in breakpoints.items()}
        self.request("configurationDone")
        self._response(attached)
        return verified

    def set_breakpoints(self, file: Path, lines: Sequence[int]) -> list[bool]:
        wanted = [{"line": line} for line in lines]
        answer = self.request("setBreakpoints", source={"path": str(file)}, breakpoints=wanted)
        return [breakpoint["verified"] for breakpoint in answer["breakpoints"]]

    def stopped(self, timeout: float = 60) -> tuple[str, int, int]:
        """Wait until a thread stops at a breakpoint; returns the file on the host, the line, and the thread."""
        event = self.event("stopped", timeout)
        thread = event["threadId"]
        frame = self.request("stackTrace", threadId=thread, startFrame=0, levels=1)["stackFrames"][0]
        return frame["source"]["path"], frame["line"], thread

    def evaluate(self, expression: str, thread: int) -> str:
        frame = self.request("stackTrace", threadId=thread, startFrame=0, levels=1)["stackFrames"][0]
        return str(self.request("evaluate", expression=expression, frameId=frame["id"])["result"])

    def proceed(self, thread: int) -> None:
        self.request("continue", threadId=thread)

    def request(self, command: str, **arguments: Any) -> Message:
        """Send a request and wait for its response; returns the body."""
        return self._response(self._send(command, **arguments))

    def event(self, name: str, timeout: float = 60) -> Message:
        """Wait for an event; returns the body."""
        found = self._take(lambda message: message["type"] == "event" and message["event"] == name, name, timeout)
        return dict(found.get("body") or {})

    def ended(self, timeout: float = 60) -> bool:
        """Whether the debugger closes the connection within this time."""
        with self._arrived:
            return self._arrived.wait_for(lambda: self._closed, timeout)

    def _send(self, command: str, **arguments: Any) -> int:
        number = next(self._numbers)
        data = json.dumps({"seq": number, "type": "request", "command": command, "arguments": arguments}).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        return number

    def _response(self, number: int) -> Message:
        found = self._take(
            lambda message: message["type"] == "response" and message["request_seq"] == number, f"response {number}", 60
        )
        assert found["success"], found
        return dict(found.get("body") or {})

    def _take(self, wanted: Any, what: str, timeout: float) -> Message:
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                for message in self._messages:
                    if wanted(message):
                        self._messages.remove(message)
                        return message
                assert not self._closed, f"the debugger closed the connection before: {what}"
                assert self._arrived.wait(deadline - time.monotonic()), f"no {what} after {timeout:.0f} s"

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as stream:
                while header := stream.readline():
                    size = int(header.partition(b":")[2])
                    stream.readline()
                    message = json.loads(stream.read(size))
                    with self._arrived:
                        self._messages.append(message)
                        self._arrived.notify_all()
        except (OSError, ValueError):
            pass
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
