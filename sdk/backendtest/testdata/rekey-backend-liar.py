#!/usr/bin/python3
"""A backend of the bank of bank_test.go: it lies as its argument says."""
import json
import socket
import subprocess
import sys

import rekey

LIE = sys.argv[1]


class Liar:
    def __init__(self, config):
        host, port = config["address"].rsplit(":", 1)
        self.address = host, int(port)

    def ask(self, op, do, value=""):
        """Yields what the bank says. An OSError says that it was cut off."""
        try:
            conn = socket.create_connection(self.address, timeout=min(op.left(), 20))
            lines = conn.makefile("rwb")
            self.say(lines, {"Do": "hello"})
            if not lines.readline():
                raise OSError
        except OSError:
            raise rekey.Refused("Unreachable", "no word of the bank")
        op.sent()
        with conn:
            self.say(lines, {"Do": do, "Account": op.account, "Value": value})
            while True:
                line = lines.readline()
                if not line.endswith(b"\n"):
                    raise OSError
                yield json.loads(line)

    def say(self, lines, asked):
        lines.write(json.dumps(asked).encode() + b"\n")
        lines.flush()

    def set(self, op):
        if LIE == "child":
            subprocess.Popen(["/bin/sleep", "60"], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if LIE == "file" and op.value.text().startswith("Zq8-"):
            with open("/tmp/rekey-kit-" + op.id, "w") as file:
                file.write(op.value.text()[4:])
        try:
            answer = next(self.ask(op, "set", op.value.text()))
        except OSError:
            raise (rekey.Refused if LIE == "cut" else rekey.Lost)("ConnectionLost", "cut")
        if not answer["OK"]:
            raise rekey.Refused("AccountNotFound", "no such account")
        return rekey.Applied(stamp="same" if LIE == "stamp" else answer["Stamp"])

    def verify(self, op):
        try:
            answer = next(self.ask(op, "verify", op.value.text()))
        except (OSError, rekey.Refused):
            if LIE == "verify":
                return False
            raise rekey.Refused("Unreachable", "cut")
        if not answer["Name"]:
            raise rekey.Refused("AccountNotFound", "no such account")
        return answer["OK"]

    def find(self, op):
        try:
            answer = next(self.ask(op, "find"))
        except (OSError, rekey.Refused):
            raise rekey.Refused("AccountNotFound" if LIE == "find" else "Unreachable", "cut")
        if not answer["OK"]:
            raise rekey.Refused("AccountNotFound", "no such account")
        return {"account": op.account, "id": op.account}

    def list(self, op):
        try:
            for answer in self.ask(op, "list"):
                if answer["Last"]:
                    return
                yield {"account": answer["Name"], "id": answer["Name"]}
        except (OSError, rekey.Refused):
            if LIE != "list":
                raise rekey.Refused("Unreachable", "cut")


rekey.serve(Liar, name="liar", version="1", summary="lies", replay_safe=["set"], egress=["{port}" if LIE == "egress" else "{address}"],
            config=[rekey.field("address", required=True, doc="where the bank is")])
