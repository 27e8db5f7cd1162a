"""A backend of rekey in Python: this file beside yours is all that it takes,
with Debian's python3-grpcio and openssl. It is the process and the calls, and
knows nothing of any target:

    import rekey

    class Users:
        def __init__(self, config):        # opens an instance: config["url"], config["token"]
            self.api = rekey.HTTP(config["url"], token=config["token"])
        def set(self, op):
            self.api.call(op, "PUT", "/users/%s/password" % rekey.quote(op.account), {"password": op.value.text()})

    rekey.serve(Users, name="users", version="1.0.0", summary="the users of our portal",
        config=[rekey.field("url", "url", required=True, doc="where it is"),
                rekey.field("token", "secret", required=True, doc="what it wants")],
        replay_safe=["set"], egress=["{url}"])

A class has the methods that its target can do; they are what it declares. Each
takes an operation op and is called from several threads at once:

    set change reset unlock revoke handover   returning is "applied"; return Applied(…) to say more
    verify   True, False, None for cannot tell, MUST_CHANGE or BLOCKED     op.account op.kind op.value
    find     a dict of the account: id login name mail status must_change changed_at stamp …
    list     yields such dicts, with account                               op.filter op.attributes
    policy   a dict of the rules: min_length max_length lower upper digits symbols history …
    check    returns or yields dicts: severity ("bad" "warning" "info") code message fix
    close    (without op) releases the instance when nothing runs any more

What it raises says what became of the target. Refused: it has certainly not
changed. Lost, and every other exception: it was sent, and may have changed.
op.left() are the seconds until the deadline, for the timeout of the next
request; it raises Refused when none are left, or Lost after op.sent().

What the description does not declare never reaches the class: verbs, kinds,
hash formats, options, empty accounts and values, must_change. Operations are
remembered by their ids, late ones answered without waiting, values scrubbed from
every text and from standard error; of a list's attributes rekey scrubs those that
are no secrets. log.info("…", account=…) logs.
"""

import base64
import collections
import concurrent.futures
import gzip
import http.client
import ipaddress
import json
import os
import queue
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# The messages of the contract, of sdk/proto/backend/v1/backend.proto.
DESCRIPTOR = """
H4sIAAAAAAACA60ZTXPb1jH8EEUuSYmGPTFDx44Mp63rJpIjp53WnU6GoihbtUK5oCSPe+GA5COJEQgwAKiYM53O9NBOe8y5/6Dn/ohee+q5v6G3nrr7PgCQ
AhnW9g27b9++ffu9D/Cfr6DcNXuXzOnvTjw3cLWKxy7ZbFchr77Q70GuzXoeC7RbsHFl2lNWTe2kHpYMAehfwvYh83ue1WUG+2bK/EC7D6WR6wedK+b5lutw
+oJRJNyFQOltqES7/Inr+Ez7Cop9jpsEaldx/+7uokS7hxGREd+h/zsLxdiipkHWMcdMns+/tSpsKrHSHK1AWvGn47HpzaoZsSJBrQKZvturZjmWPrU9yPVc
Z2ANqxs7GZTy9nUpjyxm9w1Jpn0Bmy4Xyq/mVu9QdNpnsHFpOX2/usk3fHh9wwtcNgQR17npjzoD1xubgV/N4ybSOeKOBIrbj3ldv1rgawLQPoGixya2Oev4
5oBVga+BQLURo30MBbNr2VZgMb9a5MsRgrTmsZ6LvKoloTUJao8hZ1tjC2Upc0tWr1/ghK8bkk77EHJs6DHfr27xYyREgk/MYORXt4XgHNB+CNt4jDWYdSy/
Y7tDtGgFD8obZYE+9k8ISVwD0xuyoHpDcBWQ9ikUx1P00t7IdIasqtHe5x8YQMgGx/05lTrYglInRqb/IwUb3FCJ3oW4YDZh0rX4t1aDvIeBYXmszx0rb4Qw
uUWfDcypHXDvSnSLCwozQ9GRwnsj1+qhMTb4fRSo3DQXuSmajvzPtnqBcCM0XYjQP4MseVDiRSSvdMhL/z3khLm0HSgik97U85jTm/FtGSOO0u4CTJjX8dET
nD5nkjIKiGlzBNmzawa9EVdHxhAAbQqsMXOnQQejJMuXChLT8vW/oeK5KnB7NmBvAiEvWoxDqJecMx130Q/pvAziJUz0A9scCuUTPUEYMMX+1DMp1sLzyPwK
2fLRg7O25QeoZzJN7bppzvDgE6QgpkR5kIMshaO+A3m1Rre1Ajb2UV7uvRzQv8tCpcFzw9QLEye6iuX4gen0lDVCmNjYZpfZ0iYC0I4gx9Owj7ejLLF7XcjF
U4RD+U0n8GaG3K0dY/LjWZ40QYz21mAk6oLkpPYvusdGonvELJ1bsLR2BwoYzh2bXeFtN4UaEHFCMGUVDMQ+xlKey5mQVYRYhqSrGVCM3Zg8G+mleulT+1zV
tfTqEBRUT9M/T9XOoBS/fALT3Xmmy8WMuOp/TcGNmJJlWUTxmOe5niyICeI1adkQVPPpOr2YrjEZ+oHHzLFMRRKi8iG+OqJEZEX5ELgLQulNKDVs11/LWT+C
/NAze4zsy8PR2OQwxvEelCUbeb97AFO8s2P5I7SqCJIYRv9TFgqnmDx4VGpbkLb68jz8onRoBhhRk0AdJEFKa3QXWcz5N6fu9dypE8hqrkCipsjl7orU9B3Z
MLeWDbVHkHHtPnfZVdRERGU3Vq/RmelYiMr1YnkqJJYn7SDqK4DHw8Prx4bKwy9OKgNWNRroMZ6wKTpZkQsSIbQHUPbdqYe29Gc+alaW+ZJAtjmu1oZSnPd7
CbJrpfe/Kdg0WI9hd6c9wXtPg54ry9bW/kcJ9xYEhqKMIim9ViSF5s+sZ368tMcGqk3ET8rZGBDjifQqAZDs6Ix9rMHcsRJlvxAEhqLU/4Xlj0tHntpz+2G5
pm/y6zF2SuZQtR4KpIB30PhXTMaBhLRfAlxZrm0K3xE5/06CHIrGiJFrP4AtGTcdvFIw9eUFyxLb5kh04S1UjzfrmIMA24Ew15c4tk5ITAhDKISn0OW8qR1e
jr555aPOQwa4AJZeLKaK7JwqdAal+mRiz9ZJYL+AgqvCRrrLnRWRZUTU+iGU5TEywT3hLTK5rUzhCfaWfm0oSv0b2Aq5H3nUkq0StwEQCiCyfnH/wfVTWrwh
Yv1I7tg2fQA3rhFwNYu2is7Mhk3VOyioDsW643/LPHGvfczJHBQdUmKgCXpDEernkBOopfLFlJ5eW+kNKB7RTLWGg8QqSXqukugelASTt6vfT+YZJwpeFwTR
mX/PwqZExiVLzdc4UTvTYe2kwHKHliMjSADhOJCdn2vGpmWr6kjfopXgwS8mDgktFq7N5ML1E9AEQb9jBp2pY72h/JDnEb4tV+rBOeJbfAAUo7CcXMXIG2ZX
iGfXYwDsADyrOw3kvFrc//FSFe7WQ1pRFWObtaeUeHxsiUucy6fLuVCjLxmILbVfwfYC64SieCteFAvzDSZEPBN2Pp4vpytmk1UV1YQiJ1nD39HaA8sO5HiF
1hYQdW8xdWdE9xZh9ABK4ggZDT+FvHRHFe4r/Dsk/T9Lt/4ctvBE175aq1utxWQSHXMI67+D7ZDT2wX0UwCrz5wg6sgT7XUsaNADI2o0UF7hY+8YQn71jrEY
1aF4mbVU9RrKL13b6s3eKeuF/XMm6p+phinWb6c6HPYmnMHyKUoeIOn0f2YhJ1A0ZY4tB8dIZxiM5CtFATEnHMGXzTdqOS2XzTdyGYdQWu7OhFvTah4RBwST
GmyGY4an3ikUKFIq1iU59gqAsNMJ1j/Z/wiADNq3hhZ/miG0hPhD5GzcdW2VDxVIQ4Pj0pXE2QW+Cog6kcfT45Bt+j7zeVLErRLkPm5PRmYX/Uf0+CGs/Qi2
TZsk7XfUwaLJ35LotjyfkoDrddHdyjIJcIimR/HVGVieH1S3xIOvwB0RSqnbYxOG4852qG6DI4gDLfvkg+R4FfFqgLi2RNF7n+N2VN/JS9QN8d7nuDJhtKhW
RcJ863pYMzQxygrcK0KRmkYWTTez6k2hJgny4ucGrHpLFj/81v+SgvIFf1J87yESzRjZtWYMTKdbSpS3bi/U8JFee/h4BdvPmEP921r5VF00HbsohoBQinzz
E32LD5WI8VvnCPkClv6+ByFBpz+CUmPEepdrXEU/grKkjerXAO9jOcMV9etIUBghqf4HnF0lVvsZ5H1Gb9TBTA6vtSSZBYUR0oaDXzp58MvMD37YMwysN2oa
xc9HDDblSKzdhO3T87PG6dfNznnrRev0VavyQRxZf/ny5Lh5WElhHrwdIk+MZv3wdbiYju8wmkfnbURmHv0Rryo9SLsNNy+axuFx46zTqLdap2eds+bJCZ51
Cypqod5oNF+e8cN24ONFbOfr8zZufl5vPWviibF9RvPXzQbty5AcCntwctp4gcjsoybklRK1G1BuN5Hk+Ox157h1dCokCFGv6kbruPUMJahAKcQe1PGO+98V
YPNA2EX7DeTVXyvt/rIfU+F/sJq+ikT60xkUwic/Tf/+R9fag5U0kutz2OCPbNq9BOrYI17tk6XrESc+zSZxik/TSZzmx2ADxz5CtMWL486KaZEPhrW7y+ZA
vvww9ThF0iF/LGHvLN0x5M4d2+1dvhdWBrtyL9m7s2pClrKGdjc5xyg+95YtSzbPIMt/RdxN+gUX9v9JbOK9O+r7RdhdfbK0FZPMdpYTSKmQmahlSczmCm4S
s4UyiKGpKklSaC6Ur6TQvFaIKIgo9ycGUayAJAbRXNFo0cMlHyKS3H5+UqndX0Eh+B18+dt97BRH0+4uZvM9Tv45/V0Xn3t+/3LPcrAhdEx7T7KZdLs5/ov/
yf8AV5JYlvYfAAA=
"""

quote = lambda text: urllib.parse.quote(text, safe="")  # of a name in a URL
ACCEPTED, MUST_CHANGE, REJECTED, BLOCKED = True, "must-change", False, "blocked"
CHANGES, ASKED, QUESTIONS = ("set", "change", "handover"), ("reset", "unlock", "revoke"), ("find", "list", "policy", "verify", "check")
REMEMBERED, READ_AHEAD, GRACE, END, LONGEST = 10000, 4096, 0.5, 1.5, 1 << 20
NAMING = 8  # characters of a piece of a secret in what names something
WORDS = "administrator passwords username accounts directory operation organization organisation credentials certificate".split()
WORDS = frozenset(word[i:i + NAMING] for word in WORDS for i in range(len(word) - NAMING + 1))  # what tells nothing


def messages():
    pool, made = descriptor_pool.DescriptorPool(), {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(gzip.decompress(base64.b64decode(DESCRIPTOR))).file:
        pool.Add(file)
        for message in file.message_type:
            found = pool.FindMessageTypeByName(file.package + "." + message.name)
            made[message.name] = message_factory.GetMessageClass(found) if hasattr(message_factory, "GetMessageClass") else message_factory.MessageFactory(pool).GetPrototype(found)
    return collections.namedtuple("Messages", made)(**made)


pb = messages()
UNKNOWN, APPLIED, ALREADY, REFUSED = range(4)  # Receipt.outcome


class Secret:
    """A value that nothing prints by accident."""
    __slots__ = ("_value", "_forms")

    def __init__(self, value):
        self._value, self._forms = value.encode() if isinstance(value, str) else bytes(value), {}

    def bytes(self):
        return self._value

    def text(self):
        """The value as a str. A target that wants bytes takes bytes()."""
        try:
            return self._value.decode()
        except UnicodeDecodeError:
            raise Refused("PolicyViolation", "the value is not UTF-8", violations=["encoding"]) from None

    def __bool__(self):
        return bool(self._value)

    def __repr__(self):
        return "<secret>"

    def pieces(self, size=6):
        """The pieces of so many characters of all forms in which it may be met. In what
        names something it is not met in hex, which identifiers are, and no shorter one is."""
        if size not in self._forms:
            text, raw, naming = self._value.decode("utf-8", "replace"), self._value, size == NAMING
            forms = [text, quote(text), urllib.parse.quote_plus(text), json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]]
            for skip in range(3):  # Base64 of something longer begins at any of three places
                whole = base64.b64encode(b"\0" * skip + raw).decode().rstrip("=")[(0, 2, 3)[skip]:]
                forms += [whole, whole.replace("+", "-").replace("/", "_")]
            forms += [] if naming else [raw.hex(), "\0".join(text)]
            count = size if naming else min(size, len(text))
            if len(raw) < 4 or len(text) < count:
                forms = []
            self._forms[size] = count, frozenset(form[i:i + count] for form in map(lower, forms) for i in range(len(form) - count + 1)) - WORDS
        return self._forms[size]


class Failure(Exception):
    """Refused or Lost. The message, for people, quotes no value."""
    outcome = UNKNOWN

    def __init__(self, code, message="", native="", violations=(), account_status="", retry_after=0):
        super().__init__(code, message)
        self.error = dict(code=code, message=message, native=native, account_status=account_status, retry_after_ns=int(retry_after * 1e9),
                          violations=[dict(rule=v) if isinstance(v, str) else v for v in violations])


class Refused(Failure):
    """The target has certainly not changed."""
    outcome = REFUSED


class Lost(Failure):
    """It was sent, and whether it took effect is not known."""


class Applied:
    """What a change may return: the target's reference, a stamp that differs after
    each change, the value of a reset, or that an earlier attempt had done it."""

    def __init__(self, ref="", stamp="", value=None, already=False):
        self.ref, self.stamp, self.already = ref, stamp, already
        self.value = Secret(value) if isinstance(value, (str, bytes)) else value
        if not isinstance(self.value, (Secret, type(None))):
            raise TypeError("value: want a Secret, a str or bytes")


class Config(dict):
    """The settings of an instance by their names. One not given, without a default,
    is None; a duration is in seconds, a secret is a Secret."""

    def __init__(self, request, description):
        super().__init__({f.name: None for f in description.config})
        self.update({name: plain(value) for name, value in request.values.items()})
        self.update({name: Secret(value.value) for name, value in request.secrets.items()})
        self.label, self.concurrency, self.timeout = request.label, max(1, request.concurrency), request.timeout_ns / 1e9 or 30
        self.handed = [Secret(value.value) for value in request.handed]


class Operation:
    """One request about one account."""

    def __init__(self, verb, timeout, message=None, **more):
        self.verb, self.timeout, self.deadline, self._sent, self._took = verb, timeout, None, False, 0
        for name in ("id", "account", "kind", "hash_format", "requestor", "source_system"):
            setattr(self, name, getattr(message, name, ""))
        self.attempt, self.options = getattr(message, "attempt", 1), {k: plain(v) for k, v in getattr(message, "options", {}).items()}
        self.value = Secret(message.value.value) if hasattr(message, "value") and message.HasField("value") else None
        self.old = Secret(message.old.value) if hasattr(message, "old") and message.HasField("old") else None
        self.must_change = message.must_change if hasattr(message, "must_change") and message.HasField("must_change") else None
        self.__dict__.update(more)
        redactor.note(self.value, self.old)

    def left(self):
        """The seconds until the deadline; at least a few."""
        left = self.deadline - time.monotonic()
        if left > 0:
            return left
        raise Lost("Timeout", "no answer in time") if self._sent else Refused("Timeout", "the deadline passed before it was sent")

    def sent(self):
        """From now on the target may have changed."""
        self._sent = True

    def of(self, failure):
        """What a failure of one request says of the whole operation: Refused is Lost
        where another request of it may have changed the target."""
        if self._took == 0 or failure.outcome != REFUSED:
            return failure
        return Lost("TargetError", "%s, after another request of the operation was sent" % failure.error["message"], native=failure.error["native"])


class Redactor:
    """Knows the settings' secrets for good, and the values that went through lately."""

    def __init__(self):
        self.kept, self.lately, self.state, self.naming = [], collections.deque(maxlen=64), None, (None, frozenset())

    def keep(self, *secrets):
        self.kept.extend(secret for secret in secrets if secret and all(secret.bytes() != known.bytes() for known in self.kept))
        self.state = object()

    def note(self, *values):
        values = [value for value in values if value]
        if values:
            self.lately.extend(values)
            self.state = object()

    def scrub(self, text, *more):
        return cut(text, [secret.pieces() for secret in [*self.kept, *(more or self.lately)] if secret])

    def name(self, text, asked=""):
        """Scrubs what names something: pieces have more characters, so that it is not
        another name by accident, and where the name that was asked for stands, it stays."""
        state, naming = self.state, self.naming
        if naming[0] is not state:  # a list has many names
            naming = self.naming = state, frozenset().union(*(secret.pieces(NAMING)[1] for secret in [*self.kept, *self.lately]))
        return cut(text, [(NAMING, naming[1])], asked) if naming[1] else text


def cut(text, secrets, asked=""):
    """The text without the pieces of secrets, but for those within the name that was asked for."""
    low, name, hidden = lower(text), lower(asked), set()
    stays = [at for at in range(len(low) if name else 0) if low.startswith(name, at)]
    for size, pieces in secrets:
        for i in range(len(low) - size + 1 if pieces else 0):
            if low[i:i + size] in pieces and not any(at <= i and i + size <= at + len(name) for at in stays):
                hidden.update(range(i, i + size))
    if not hidden:
        return text
    return "".join("" if i in hidden and i - 1 in hidden else "[secret]" if i in hidden else letter for i, letter in enumerate(text))


redactor = Redactor()


class Stream:
    """Standard error, where values are scrubbed from whole lines."""

    def __init__(self, to):
        self.to, self.lock, self.rest = to, threading.Lock(), ""

    def write(self, text):
        with self.lock:
            *lines, self.rest = (self.rest + text).split("\n")
            for line in lines:
                self.to.write(redactor.scrub(line[:8000]) + "\n")
            self.to.flush()
        return len(text)

    def flush(self):
        pass

    def __getattr__(self, name):
        return getattr(self.to, name)


class Log:
    """Writes lines that rekey shows with their level."""

    def write(self, level, message, **keys):
        line = {k: v if isinstance(v, (int, float, bool)) else str(v) for k, v in keys.items()}
        line.update({"@level": level, "@message": message, "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())})
        sys.stderr.write(json.dumps(line) + "\n")

    debug = lambda self, message, **keys: self.write("debug", message, **keys)
    info = lambda self, message, **keys: self.write("info", message, **keys)
    warn = lambda self, message, **keys: self.write("warn", message, **keys)
    error = lambda self, message, **keys: self.write("error", message, **keys)


log = Log()


class HTTP:
    """A REST target: what a request came to is Refused or Lost by the contract's rules."""

    def __init__(self, url, token=None, headers=None, insecure=False, ca_file=None):
        self.url, self.token, self.headers = urllib.parse.urlsplit(url), token, headers or {}
        self.tls = ssl.create_default_context(cafile=ca_file) if self.url.scheme == "https" else None
        if self.url.scheme not in ("http", "https") or not self.url.hostname:
            raise Refused("InvalidConfig", "url: want https://HOST")
        if not self.tls and not insecure and not loopback(self.url.hostname):
            raise Refused("InsecureTransport", "url: values would travel in clear; use https")

    def call(self, op, method, path, body=None, accept=(), changes=True):
        """Sends one request and returns the answer: JSON as Python has it, None for
        an empty one. Statuses other than 2xx raise, but for those in accept, which are
        returned as numbers. What is refused after another request, which was not GET or
        HEAD, is Lost: say changes=False of one that changes nothing, such as a logon."""
        own = 1 if changes and method not in ("GET", "HEAD") and op.verb not in QUESTIONS else 0
        connection = (http.client.HTTPSConnection if self.tls else http.client.HTTPConnection)(
            self.url.hostname, self.url.port, timeout=op.left(), **({"context": self.tls} if self.tls else {}))
        try:
            try:
                connection.connect()
            except OSError as e:
                raise op.of(Refused("Unreachable", "%s: %s" % (self.url.netloc.rpartition("@")[2], type(e).__name__))) from None
            headers = {"Accept": "application/json", **self.headers, **({"Content-Type": "application/json"} if body is not None else {}),
                       **({"Authorization": "Bearer " + self.token.text()} if self.token else {})}
            connection.sock.settimeout(op.left())
            op.sent()
            op._took += own
            connection.request(method, self.url.path.rstrip("/") + path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            status, text, wait = answer.status, answer.read(LONGEST + 1), answer.getheader("Retry-After", "")
        except TimeoutError:
            raise Lost("Timeout", "no answer in time") from None
        except (OSError, http.client.HTTPException) as e:
            raise Lost("ConnectionLost", "the connection broke after the request was sent: %s" % type(e).__name__) from None
        finally:
            connection.close()
        failure = None if status // 100 == 2 else failed(status, float(wait) if wait.isdecimal() else 0)
        if failure and failure.outcome == REFUSED:
            op._took -= own
        if status in accept:
            return status
        if failure:
            raise op.of(failure)
        if len(text) > LONGEST:
            raise Lost("TargetError", "the answer is too long")
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise Lost("TargetError", "the answer is not JSON") from None


STATUSES = {401: "LoginExpired", 403: "PermissionDenied", 404: "AccountNotFound", 410: "AccountNotFound", 405: "Unsupported", 501: "Unsupported", 408: "Timeout",
            409: "Conflict", 412: "Conflict", 423: "AccountStatus", 429: "RateLimited", 503: "TargetUnavailable", 301: "InvalidConfig", 307: "InvalidConfig",
            308: "InvalidConfig", 502: "TargetUnavailable", 504: "Timeout", **dict.fromkeys((400, 406, 411, 413, 414, 415, 422, 431), "InvalidOperation")}


def failed(status, retry_after=0):
    """What a status means where a target says nothing more, as sdk/rest has it."""
    kind = Lost if status in (300, 302, 303) or status >= 500 and status not in (501, 503) else Refused
    return kind(STATUSES.get(status, "TargetError"), "HTTP %d" % status, native="HTTP %d" % status, retry_after=min(retry_after, 3600), account_status="locked" if status == 423 else "")


def loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lower(text):
    return text.lower() if text.isascii() else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def plain(value):
    """A setting or an option as Python has it."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    got = getattr(value, kind)
    return got / 1e9 if kind == "duration_ns" else list(got.items) if kind == "list" else got


def field(name, type="string", required=False, default=None, choices=(), doc="", conflicts=()):
    """A setting of an instance, or an option of an operation."""
    made = pb.Description().config.add(name=name, type=type, required=required, choices=choices, doc=doc, conflicts=conflicts)
    if default is None:
        return made
    if isinstance(default, (list, tuple)):
        made.default.list.items.extend(default)
    elif type == "duration":
        made.default.duration_ns = int(default * 1e9)
    else:
        setattr(made.default, "flag" if type == "bool" else "number" if type == "int" else "text", default)
    return made


class Job:
    """One call of an instance: answered once, whatever becomes of it."""

    def __init__(self, op, work, answer, gone=lambda: False):
        self.op, self.work, self._answer, self.gone, self.lock, self.past = op, work, answer, gone, threading.Lock(), None

    def answer(self, receipt):
        with self.lock:
            answer, self._answer = self._answer, None
        if answer:
            answer(receipt)
        return bool(answer)


class Instance:
    """One opened instance: its workers, its queue, and what it remembers."""

    def __init__(self, description, target, config, changes_owner):
        self.description, self.target, self.config, self.changes_owner = description, target, config, changes_owner
        self.more = threading.Condition()
        self.queue, self.threads, self.idle, self.running, self.stuck, self.guests, self.shut = collections.deque(), 0, 0, {}, 0, 0, False
        self.past, self.current = collections.OrderedDict(), {}

    def admit(self, op):
        """Refuses what the description does not declare. An earlier attempt may have met
        another version of the plugin, which took it: a later one says nothing of that."""
        try:
            self.declared(op)
        except Refused as e:
            if op.attempt > 1:
                e.error["code"] = "PermissionDenied"
            raise

    def declared(self, op):
        d = self.description
        declared = op.verb in d.verbs if op.verb in CHANGES + ASKED else op.verb in d.abilities
        if not declared:
            raise Refused("Unsupported", "this backend has no %s" % op.verb[:20])
        if op.verb in ("list", "check") or op.verb == "policy" and not op.account:
            return
        if not op.account:
            raise Refused("InvalidOperation", "the account is empty")
        whole = op.verb == "find" or op.verb in ("unlock", "revoke") and not op.kind  # about the account, not about one credential of it
        if op.kind not in ([k.name for k in d.kinds] or [""]) and not whole:
            raise Refused("InvalidOperation", "there is no kind %r" % op.kind[:80])
        if op.hash_format and (op.verb != "set" or op.hash_format not in d.hash_formats):
            raise Refused("Unsupported", "there is no hash format %r of a %s" % (op.hash_format[:80], op.verb))
        if op.must_change and not self.changes_owner:
            raise Refused("Unsupported", "must_change: this backend cannot demand a change")
        if op.verb in (*CHANGES, "verify") and not op.value or op.verb == "change" and op.old is None:
            raise Refused("InvalidOperation", "the value is empty or missing")
        unknown = set(op.options) - {o.name for o in d.options}
        if unknown:
            raise Refused("InvalidOperation", "there is no option %r" % min(unknown)[:80])

    def receipt(self, op):
        """Calls the target's method and tells what came of it."""
        try:
            try:
                self.admit(op)
                return self.told(op, getattr(self.target, op.verb)(op))
            except Failure as e:
                return self.failure(op, e), None
        except BaseException as e:
            return slip(op, e), None

    def told(self, op, got):
        """The receipt of what a method returned, and a question's answer."""
        if op.verb in QUESTIONS:
            return pb.Receipt(outcome=APPLIED), got
        got = got if isinstance(got, Applied) else Applied()
        redactor.note(got.value)
        value = {"value": pb.Secret(value=got.value.bytes())} if got.value and op.verb == "reset" else {}
        return pb.Receipt(outcome=ALREADY if got.already else APPLIED, ref=self.clean(got.ref, op), stamp=self.clean(got.stamp, op), **value), None

    def failure(self, op, e):
        """The receipt of a failure. The refusal of a later attempt says nothing of the first."""
        e.__traceback__ = e.__context__ = e.__cause__ = None  # they keep values, and the target's class may keep e
        error = dict(e.error, message=self.clean(e.error["message"], op), native=self.clean(e.error["native"], op))
        if op.attempt > 1 and e.outcome == REFUSED and error["code"] in DEFINITE:
            error["code"] = "TargetError"
        error["violations"] = [pb.Violation(**dict(v, native=self.clean(v.get("native", ""), op), message=self.clean(v.get("message", ""), op))) for v in error["violations"]]
        return pb.Receipt(outcome=e.outcome, error=pb.Error(**error))

    def clean(self, text, op):
        return redactor.scrub(str(text)[:2000], *(v for v in (op.value, op.old) if v)) if text else ""

    def submit(self, op, answer, gone=lambda: False):
        """Has a change done, or answers from memory."""
        job = Job(op, lambda: self.receipt(op)[0], answer, gone)
        if op.id and op.verb in CHANGES:
            what, known = (op.verb, op.account, op.kind), None
            with self.more:
                if op.id in self.past:
                    self.past.move_to_end(op.id)
                    was, ref, stamp = self.past[op.id]
                    known = reused() if was != what else pb.Receipt(outcome=ALREADY, ref=ref, stamp=stamp)
                elif op.id in self.current:
                    was, joined = self.current[op.id]
                    known = reused() if was != what else None
                    if known is None:
                        joined.append(job)
                        return
                else:
                    self.current[op.id], job.past = (what, []), what
            if known is not None:
                job.answer(known)
                return
        self.push(job)

    def ask(self, op, gone=lambda: False):
        """Asks a question by a worker: the receipt, and what the method returned."""
        got = queue.SimpleQueue()
        found = []

        def work():
            receipt, answer = self.receipt(op)
            found.append(answer)
            return receipt
        self.push(Job(op, work, got.put, gone))
        receipt = got.get()
        return receipt, found[0] if found and receipt.outcome == APPLIED else None

    def push(self, job):
        with self.more:
            reason = self.reason()
            if reason is None:
                self.queue.append(job)
                if self.idle == 0 and self.threads < self.config.concurrency:
                    self.threads += 1
                    threading.Thread(target=self.work, daemon=True).start()
                self.more.notify()
        if reason is not None:
            self.finish(job, reason)

    def reason(self):
        if self.shut:
            return refusal("Cancelled", "the backend is being closed")
        if self.stuck >= self.config.concurrency:
            return refusal("Timeout", "not sent: all workers wait for calls that ignore their deadline")
        return None

    def work(self):
        while True:
            with self.more:
                self.idle += 1
                while not self.queue and not self.shut:
                    self.more.wait()
                self.idle -= 1
                if not self.queue:  # closed: a thread that waited on would keep the target and its secrets
                    return
                job = self.queue.popleft()
                job.op.deadline = time.monotonic() + self.config.timeout
                self.running[job] = job.op.deadline + GRACE
            try:
                receipt = refusal("Cancelled", "given up before it was sent") if job.gone() else job.work()
            except BaseException as e:  # else the worker ends, and the call has no answer
                receipt = slip(job.op, e)
            late = not self.finish(job, receipt)
            with self.more:
                del self.running[job]
                self.stuck -= late
                self.more.notify_all()

    def finish(self, job, receipt):
        """Tells what came of a job, and remembers it. It reports whether that is the answer, too."""
        joined = []
        with self.more:
            if job.past:
                joined = self.current.pop(job.op.id, (None, []))[1]
                if receipt.outcome in (APPLIED, ALREADY):
                    self.past[job.op.id] = job.past, receipt.ref, receipt.stamp
                    if len(self.past) > REMEMBERED:
                        self.past.popitem(last=False)
        first = job.answer(receipt)
        for other in joined:
            other.answer(pb.Receipt(outcome=ALREADY, ref=receipt.ref, stamp=receipt.stamp) if receipt.outcome == APPLIED else receipt)
        return first

    def watch(self, now):
        """Answers the jobs whose call ignores its deadline; their workers stay taken."""
        with self.more:
            due = [job for job, at in self.running.items() if now > at]
            joined = [other for job in due if job.past for other in self.current.get(job.op.id, (None, []))[1]]
        late = pb.Receipt(outcome=UNKNOWN, error=pb.Error(code="Timeout", message="no answer in time, and the call goes on"))
        lost = [job.answer(late) for job in due + joined][:len(due)]
        with self.more:
            self.stuck += sum(lost)
            reason = self.reason()
            waiting, self.queue = (self.queue, collections.deque()) if reason is not None else ((), self.queue)
        for job in waiting:
            self.finish(job, reason)

    def close(self, grace):
        """Refuses what waits, lets what runs end, and returns the ids of what did not."""
        with self.more:
            self.shut, reason = True, refusal("Cancelled", "the backend is being closed")
            waiting, self.queue = self.queue, collections.deque()
            self.more.notify_all()
        for job in waiting:
            self.finish(job, reason)
        with self.more:
            self.more.wait_for(lambda: not self.running and not self.guests, grace)
            left = [job.op.id for job in self.running if job.op.id]
        if not left and hasattr(self.target, "close"):
            self.target.close()
        return left

    def visit(self, step):
        with self.more:
            self.guests += step
            self.more.notify_all()


def slip(op, e):
    """The receipt of a defect. The text of an exception may quote a value: only its type is told."""
    where = " < ".join("%s:%d %s" % (os.path.basename(f.filename), f.lineno, f.name) for f in reversed(traceback.extract_tb(e.__traceback__)))
    log.error("the backend raised %s" % type(e).__name__, method=op.verb, stack=where)
    return pb.Receipt(outcome=UNKNOWN, error=pb.Error(code="Internal", message="the backend raised %s; its log has the rest" % type(e).__name__))


def reused():
    return refusal("InvalidOperation", "the id was used for another operation")


def refusal(code, message):
    return pb.Receipt(outcome=REFUSED, error=pb.Error(code=code, message=message))


class NoCall(Exception):
    """The call itself makes no sense."""


VERDICTS = {None: 0, True: 1, MUST_CHANGE: 2, False: 3, BLOCKED: 4}
DEFINITE = ("InvalidOperation", "Unsupported")  # the codes that tell of earlier attempts too
SEVERITIES = {"info": 0, "warning": 1, "bad": 2}


class Service:
    """The calls by their names."""

    def __init__(self, target, description, changes_owner):
        self.target, self.description, self.changes_owner, self.instances, self.lock = target, description, changes_owner, {}, threading.Lock()

    def of(self, name):
        with self.lock:
            if name not in self.instances:
                raise NoCall(grpc.StatusCode.NOT_FOUND, "there is no such instance")
            return self.instances[name]

    def Describe(self, request, context):
        return pb.DescribeResponse(description=self.description)

    def Configure(self, request, context):
        config = Config(request, self.description)
        redactor.keep(*(v for v in [*config.values(), *config.handed] if isinstance(v, Secret)))
        for f in self.description.config:
            if f.required and config[f.name] is None:
                return pb.ConfigureResponse(error=pb.Error(code="InvalidConfig", message="%s is required" % f.name))
        try:
            target = self.target(config)
        except Failure as e:
            return pb.ConfigureResponse(error=pb.Error(code=e.error["code"], message=redactor.scrub(e.error["message"])))
        with self.lock:
            if request.instance in self.instances:
                raise NoCall(grpc.StatusCode.ALREADY_EXISTS, "there is such an instance")
            self.instances[request.instance] = Instance(self.description, target, config, self.changes_owner)
        return pb.ConfigureResponse(abilities=self.description.abilities, stream=True, stream_verbs=["verify"])

    def Close(self, request, context):
        with self.lock:
            instance = self.instances.pop(request.instance, None)
        return pb.CloseResponse(unfinished=instance.close(request.grace_ns / 1e9) if instance else [])

    def end(self, grace):
        with self.lock:
            all, self.instances = self.instances, {}
        enders = [threading.Thread(target=instance.close, args=(grace,), daemon=True) for instance in all.values()]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join(grace)

    def operation(self, verbs, instance, message):
        verb = message.verb or verbs[0]
        op = Operation(verb, instance.config.timeout, message)
        if verb not in verbs:
            return op, refusal("InvalidOperation", "this call has no verb %r" % verb[:20])
        return op, None

    def one(self, verbs, request, context):
        instance, got = self.of(request.instance), queue.SimpleQueue()
        op, refused = self.operation(verbs, instance, request.operation)
        if refused is None:
            instance.submit(op, got.put, lambda: not context.is_active())
            refused = got.get()
        return pb.ApplyResponse(receipt=refused)

    def Apply(self, request, context):
        return self.one(CHANGES, request, context)

    def Reset(self, request, context):
        return self.one(("reset",), request, context)

    def Unlock(self, request, context):
        return self.one(("unlock",), request, context)

    def Revoke(self, request, context):
        return self.one(("revoke",), request, context)

    def ApplyStream(self, frames, context):
        """Has operations done as their frames come; reads no further ahead than READ_AHEAD."""
        first = next(frames, None)
        if first is None:
            return
        instance, answers, credit, over = self.of(first.instance), queue.SimpleQueue(), threading.Semaphore(READ_AHEAD), object()

        def read():
            open = 0
            try:
                frame = first
                while frame is not None:
                    for numbered in frame.operations:
                        credit.acquire()
                        open += 1
                        self.numbered(instance, numbered, answers.put, lambda: not context.is_active())
                    frame = next(frames, None)
            except Exception:  # the caller is gone
                pass
            answers.put((over, open))
        threading.Thread(target=read, daemon=True).start()
        given, owed = 0, None
        while owed is None or given < owed:
            batch = [answers.get()]
            while len(batch) < 64 and not answers.empty():
                batch.append(answers.get())
            frame = pb.AnswerFrame()
            for number, receipt in batch:
                if number is over:
                    owed = receipt
                    continue
                frame.answers.add(number=number, receipt=receipt)
                given += 1
                credit.release()
            if frame.answers:
                yield frame

    def numbered(self, instance, numbered, put, gone):
        op, refused = self.operation((*CHANGES, "verify"), instance, numbered.operation)
        answer = lambda receipt: put((numbered.number, receipt))
        if refused is not None:
            answer(refused)
        elif op.verb != "verify":
            instance.submit(op, answer, gone)
        else:
            instance.push(Job(op, lambda: verified(instance, op), answer, gone))

    def question(self, verb, request, context, **more):
        instance = self.of(request.instance)
        receipt, got = instance.ask(Operation(verb, instance.config.timeout, request, **more), lambda: not context.is_active())
        return got, receipt.error if receipt.outcome != APPLIED else None

    def Find(self, request, context):
        got, error = self.question("find", request, context)
        return pb.FindResponse(error=error) if error else pb.FindResponse(account=account_found(dict({"account": request.account}, **got), request.account))

    def Policy(self, request, context):
        got, error = self.question("policy", request, context)
        return pb.PolicyResponse(error=error) if error else pb.PolicyResponse(policy=policy(got))

    def Verify(self, request, context):
        got, error = self.question("verify", request, context)
        return pb.VerifyResponse(error=error) if error else pb.VerifyResponse(verdict=verdict(got))

    def Check(self, request, context):
        instance, op = self.of(request.instance), None
        with guest(instance):
            op = timed(Operation("check", instance.config.timeout))
            receipt, got = instance.receipt(op)
            try:
                findings = list(got or ())
            except Failure as e:
                receipt = pb.Receipt(outcome=e.outcome, error=pb.Error(code=e.error["code"], message=redactor.scrub(e.error["message"])))
            if receipt.outcome != APPLIED:
                findings = [dict(severity="bad", code=receipt.error.code, message=receipt.error.message)]
        return pb.CheckResponse(findings=[finding(f) for f in findings])

    def List(self, request, context):
        instance, piece = self.of(request.instance), pb.ListResponse()
        with guest(instance):
            op = timed(Operation("list", 1e9, filter=request.filter, attributes=list(request.attributes)))
            receipt, got = instance.receipt(op)
            try:
                for one in got or ():
                    piece.accounts.append(account(one))
                    if len(piece.accounts) == 64 or piece.ByteSize() > 1 << 18:
                        yield piece
                        piece = pb.ListResponse()
            except Failure as e:
                receipt = pb.Receipt(outcome=e.outcome, error=pb.Error(code=e.error["code"], message=redactor.scrub(e.error["message"])))
            if receipt.outcome != APPLIED:
                piece.error.CopyFrom(receipt.error)
            if piece.accounts or piece.HasField("error"):
                yield piece

    def handler(self):
        service = next(s for f in descriptor_pb2.FileDescriptorSet.FromString(gzip.decompress(base64.b64decode(DESCRIPTOR))).file for s in f.service)
        handlers = {}
        for method in service.method:
            if not hasattr(self, method.name):
                continue
            make = grpc.stream_stream_rpc_method_handler if method.client_streaming else grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
            handlers[method.name] = make((guarded_stream if method.server_streaming else guarded)(getattr(self, method.name)),
                                         request_deserializer=getattr(pb, method.input_type.rpartition(".")[2]).FromString, response_serializer=lambda message: message.SerializeToString())
        return grpc.method_handlers_generic_handler("rekey.backend.v1.Backend", handlers)


def verdict(got):
    """What a verify returned, as the wire has it. What is no verdict cannot tell."""
    try:
        return VERDICTS[got]
    except (KeyError, TypeError):
        log.error("verify returned a %s, which is no verdict" % type(got).__name__)
        return VERDICTS[None]


def verified(instance, op):
    receipt, got = instance.receipt(op)
    if receipt.outcome == APPLIED:
        receipt.verdict = verdict(got)
    elif receipt.outcome == UNKNOWN:
        receipt.outcome = REFUSED  # a question changes nothing
    return receipt


def account(found, asked=""):
    """An account as the wire has it, of a dict. Which attributes of a list are
    secrets themselves rekey knows: it scrubs the others."""
    found = dict(found)
    changed, several = found.pop("changed_at", 0), {k: v for k, v in found.get("attributes", {}).items() if isinstance(v, (list, tuple))}
    found["attributes"] = {k: ",".join(v) if k in several else str(v) for k, v in found.get("attributes", {}).items()}
    made = pb.Account(changed_at_unix_ns=int(changed * 1e9), lists={k: pb.TextList(items=v) for k, v in several.items()}, **found)
    for key in ("account", "id", "login", "name", "mail", "stamp"):
        setattr(made, key, redactor.name(getattr(made, key), asked))
    made.kinds[:] = [redactor.name(kind) for kind in made.kinds]
    return made


def account_found(found, asked):
    """An account of a find, its attributes scrubbed."""
    clean = lambda text: redactor.name(str(text), asked)
    attributes = {clean(k): [clean(item) for item in v] if isinstance(v, (list, tuple)) else clean(v) for k, v in found.get("attributes", {}).items()}
    return account(dict(found, attributes=attributes), asked)


def policy(got):
    """The rules as the wire has them. Characters that look like a secret are sorted: they mean the same."""
    made = pb.Policy(**got)
    for key in ("alphabet", "allowed_symbols", "forbid", "forbid_first"):
        characters = getattr(made, key)
        if redactor.name(characters) != characters:
            setattr(made, key, "".join(sorted(set(characters))))
    made.forbid_words[:] = [redactor.name(word) for word in made.forbid_words]
    made.note = redactor.scrub(made.note)
    return made


def finding(got):
    made = pb.Finding(**dict(got, severity=SEVERITIES[got.get("severity", "bad")]))
    made.message, made.fix = redactor.scrub(made.message), redactor.scrub(made.fix)
    return made


def timed(op):
    op.deadline = time.monotonic() + op.timeout
    return op


class guest:
    """A call that takes no worker, which Close waits for."""

    def __init__(self, instance):
        self.instance = instance

    def __enter__(self):
        self.instance.visit(1)

    def __exit__(self, *_):
        self.instance.visit(-1)


def status(e):
    """The status of a call that failed. The text of an exception may quote a value."""
    if isinstance(e, NoCall):
        return e.args
    log.error("a call failed: %s" % type(e).__name__, stack=" < ".join("%s:%d" % (os.path.basename(f.filename), f.lineno) for f in reversed(traceback.extract_tb(e.__traceback__))))
    return grpc.StatusCode.INTERNAL, type(e).__name__


def guarded(call):
    def guard(request, context):
        try:
            return call(request, context)
        except Exception as e:
            failure = status(e)
        context.abort(*failure)
    return guard


def guarded_stream(call):
    def guard(request, context):
        try:
            yield from call(request, context)
            return
        except Exception as e:
            failure = status(e)
        context.abort(*failure)
    return guard


def certificate():
    """Makes a key and a certificate of this one process; both PEM."""
    text = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "-", "-out", "-"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    key, begin, cert = text.partition("-----BEGIN CERTIFICATE-----")
    return key, begin + cert


def serve(target, /, name, version, summary, must_change=False, limits=None, kinds=(), **more):
    """Serves a class until the host is done with it. more are fields of
    Description: doc, config, options, hash_formats, replay_safe, recover, egress,
    paths, verify_is_logon, target."""
    has = lambda method: callable(getattr(target, method, None))
    description = pb.Description(
        name=name, version=version, summary=summary, kinds=[pb.Kind(**k) if isinstance(k, dict) else pb.Kind(name=k) for k in kinds],
        verbs=[verb for verb in CHANGES + ASKED if has(verb)], abilities=[ability for ability in QUESTIONS + ASKED if has(ability)],
        limits=dict(limits or {}), **more)
    if "must_change" in description.DESCRIPTOR.fields_by_name:
        description.must_change = must_change
    if os.environ.get("REKEY_PLUGIN") != "rekey-backend-v1":
        sys.exit("rekey-backend-%s %s is a plugin of rekey: put it in $REKEY_PLUGIN_DIR and see `rekey backends %s`" % (name, version, name))
    spoken = os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "1").split(",")
    if "1" not in spoken:
        sys.exit("rekey-backend-%s speaks version 1 of the contract, this rekey %s: get a newer rekey.py" % (name, ", ".join(spoken)))
    handshake = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stderr = sys.stdout = Stream(sys.stderr)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the memory holds passwords
    run(Service(target, description, must_change), handshake)


def run(service, handshake):
    key, cert = certificate()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1024), options=[("grpc.max_receive_message_length", 1 << 20), ("grpc.max_send_message_length", 1 << 20)])

    def end(*_, grace=END):
        def ending():
            threading.Timer(END, os._exit, (0,)).start()
            service.end(grace)
            server.stop(0.2).wait()
            os._exit(0)
        threading.Thread(target=ending, daemon=True).start()
        return b""

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    server.add_generic_rpc_handlers([
        service.handler(),
        grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": grpc.unary_unary_rpc_method_handler(lambda *_: end(grace=0.2))})])
    socket = os.path.join(tempfile.mkdtemp(dir=os.environ["PLUGIN_UNIX_SOCKET_DIR"]), "s")
    server.add_secure_port("unix:" + socket, grpc.ssl_server_credentials(
        [(key.encode(), cert.encode())], os.environ["PLUGIN_CLIENT_CERT"].encode(), require_client_auth=True))
    server.start()
    handshake.write("1|1|unix|%s|grpc|%s\n" % (socket, base64.b64encode(ssl.PEM_cert_to_DER_cert(cert)).decode().rstrip("=")))
    handshake.close()
    liveness = int(os.environ["PLUGIN_LIVENESS_FD"])
    os.set_inheritable(liveness, False)
    threading.Thread(target=lambda: (os.read(liveness, 1), end()), daemon=True).start()
    while True:
        time.sleep(0.05)
        with service.lock:
            instances = list(service.instances.values())
        for instance in instances:
            instance.watch(time.monotonic())
