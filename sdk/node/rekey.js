"use strict";
/* A backend of rekey in Node: this file beside yours is all that it takes, with
   npm's @grpc/grpc-js. It is the process and the calls, and knows nothing of any target:

       const { serve, field, HTTP, quote } = require("./rekey.js");

       class Users {
         constructor(config) { this.api = new HTTP(config.url, { token: config.token }); }
         async set(op) { await this.api.call(op, "PUT", `/users/${quote(op.account)}/password`, { password: op.value.text() }); }
       }

       serve(Users, { name: "users", version: "1.0.0", summary: "the users of our portal",
         config: [field("url", "url", { required: true, doc: "where it is" }), field("token", "secret", { required: true, doc: "what it wants" })],
         replay_safe: ["set"], egress: ["{url}"] });

   A class has the methods that its target can do; they are what it declares. Each takes
   an operation op, may be async, and is called again before it is done:

       set change reset unlock revoke handover   returning is "applied"; return new Applied({…}) to say more
       verify   true, false, null for cannot tell, MUST_CHANGE or BLOCKED     op.account op.kind op.value
       find     an object of the account: id login name mail status must_change changed_at stamp …
       list     yields such objects, with account                             op.filter op.attributes
       policy   an object of the rules: min_length max_length lower upper digits symbols history …
       check    returns a list of objects: severity ("bad" "warning" "info") code message fix
       close    (without op) releases the instance when nothing runs any more

   What it throws says what became of the target. Refused: it has certainly not changed.
   Lost, and every other error: it was sent, and may have changed. op.left() are the
   milliseconds until the deadline, for the timeout of the next request; it throws Refused
   when none are left, or Lost after op.sent(). op.signal is aborted at the deadline.

   What the description does not declare never reaches the class: verbs, kinds, hash
   formats, options, empty accounts and values, must_change. Operations are remembered by
   their ids, late ones answered without waiting, values scrubbed from every text and from
   standard error; of a list's attributes rekey scrubs those that are no secrets.
   log.info("…", { account }) logs. Whole numbers beyond 2^53 are BigInts. */

const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const net = require("node:net");
const path = require("node:path");
const util = require("node:util");
const zlib = require("node:zlib");

// The messages of the contract, of sdk/proto/backend/v1/backend.proto.
const DESCRIPTOR = `
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
`;

const ACCEPTED = true, REJECTED = false, MUST_CHANGE = "must-change", BLOCKED = "blocked";
const CHANGES = ["set", "change", "handover"], ASKED = ["reset", "unlock", "revoke"], QUESTIONS = ["find", "list", "policy", "verify", "check"];
const [UNKNOWN, APPLIED, ALREADY, REFUSED] = [0, 1, 2, 3]; // Receipt.outcome
const REMEMBERED = 10000, READ_AHEAD = 4096, GRACE = 500, END = 1500, MESSAGE = 1 << 20, LONGEST = 1 << 20;
const VERDICTS = new Map([[undefined, 0], [null, 0], [true, 1], [MUST_CHANGE, 2], [false, 3], [BLOCKED, 4]]);
const DEFINITE = ["InvalidOperation", "Unsupported"]; // the codes that tell of earlier attempts too
const SEVERITIES = { info: 0, warning: 1, bad: 2 };

const quote = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase()); // of a name in a URL
const short = (text) => JSON.stringify(String(text).slice(0, 80));
const ns = (ms) => BigInt(Math.round(ms * 1e6)).toString();
const milliseconds = (text) => Number(BigInt(text || 0) / 1000n) / 1000;
const number = (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text));
const lower = (text) => Array.from(text, (c) => (c.toLowerCase().length === c.length ? c.toLowerCase() : c)).join("");
const NAMING = 8; // characters of a piece of a secret in what names something
const WORDS = new Set(); // pieces that tell nothing
for (const word of "administrator passwords username accounts directory operation organization organisation credentials certificate".split(" "))
  for (let i = 0; i + NAMING <= word.length; i++) WORDS.add(word.slice(i, i + NAMING));

/** A value that nothing prints by accident. */
class Secret {
  #value;
  #pieces = {};
  constructor(value) { this.#value = Buffer.from(value); }
  bytes() { return this.#value; }
  /** The value as a string. A target that wants bytes takes bytes(). */
  text() {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#value);
    } catch {
      throw new Refused("PolicyViolation", "the value is not UTF-8", { violations: ["encoding"] });
    }
  }
  get empty() { return this.#value.length === 0; }
  toString() { return "<secret>"; }
  toJSON() { return "<secret>"; }
  [util.inspect.custom]() { return "<secret>"; }
  /** The pieces of so many characters of all forms in which it may be met. In what names
      something it is not met in hex, which identifiers are, and no shorter one is. */
  pieces(most = 6) {
    if (this.#pieces[most]) return this.#pieces[most];
    const raw = this.#value, text = raw.toString(), naming = most === NAMING, size = naming ? most : Math.min(most, text.length), found = new Set();
    const forms = [text, quote(text), encodeURIComponent(text), encodeURIComponent(text).replace(/%20/g, "+"), JSON.stringify(text).slice(1, -1),
      util.inspect(text).slice(1, -1), ...(naming ? [] : [raw.toString("hex"), [...text].join("\0")])];
    for (const [skip, from] of [[0, 0], [1, 2], [2, 3]]) { // Base64 of something longer begins at any of three places
      const whole = Buffer.concat([Buffer.alloc(skip), raw]).toString("base64").replace(/=+$/, "").slice(from);
      forms.push(whole, whole.replaceAll("+", "-").replaceAll("/", "_"));
    }
    for (const form of raw.length < 4 || text.length < size ? [] : forms.map(lower)) for (let i = 0; i + size <= form.length; i++) found.add(form.slice(i, i + size));
    for (const word of WORDS) found.delete(word);
    return (this.#pieces[most] = { size, found });
  }
}

/** Refused or Lost. The message, for people, quotes no value. */
class Failure extends Error {
  constructor(code, message = "", { native = "", violations = [], account_status = "", retry_after = 0 } = {}) {
    super(message);
    this.error = { code, message, native, account_status, retry_after_ns: ns(retry_after * 1000), violations: violations.map((v) => (typeof v === "string" ? { rule: v } : v)) };
  }
}
/** The target has certainly not changed. */
class Refused extends Failure { outcome = REFUSED; }
/** It was sent, and whether it took effect is not known. */
class Lost extends Failure { outcome = UNKNOWN; }

/** What a change may return: the target's reference, a stamp that differs after each
    change, the value of a reset, or that an earlier attempt had done it. */
class Applied {
  constructor({ ref = "", stamp = "", value = null, already = false } = {}) {
    Object.assign(this, { ref, stamp, value: value === null || value instanceof Secret ? value : new Secret(value), already });
  }
}

/** One request about one account. */
class Operation {
  #sent = false;
  #took = 0;
  #end = new AbortController();
  constructor(verb, timeout, message = {}, more = {}) {
    Object.assign(this, { verb, timeout, deadline: Infinity, signal: this.#end.signal });
    for (const name of ["id", "account", "kind", "hash_format", "requestor", "source_system"]) this[name] = message[name] || "";
    this.attempt = Number(message.attempt || 1);
    this.value = message.value ? new Secret(message.value.value) : null;
    this.old = message.old ? new Secret(message.old.value) : null;
    this.must_change = message._must_change ? message.must_change : null;
    this.options = plainAll(message.options);
    Object.assign(this, more);
    redactor.note(this.value, this.old);
  }
  begin() { this.deadline = performance.now() + this.timeout; }
  /** The milliseconds until the deadline; at least a few. */
  left() {
    const left = this.deadline - performance.now();
    if (left > 0 && !this.signal.aborted) return Math.ceil(left);
    throw this.#sent ? new Lost("Timeout", "no answer in time") : new Refused("Timeout", "the deadline passed before it was sent");
  }
  /** From now on the target may have changed. */
  sent() { this.#sent = true; }
  /** Counts the requests that may have changed the target. */
  took(step) { this.#took += step; }
  /** What a failure of one request says of the whole operation: Refused is Lost where
      another request of it may have changed the target. */
  of(failure) {
    if (!this.#took || failure.outcome !== REFUSED) return failure;
    return new Lost("TargetError", `${failure.error.message}, after another request of the operation was sent`, { native: failure.error.native });
  }
  end() { this.#end.abort(); }
}

/** Knows the settings' secrets for good, and the values that went through lately. */
const redactor = {
  kept: [],
  lately: [],
  naming: null, // the pieces of all, until another comes
  keep(...secrets) {
    this.naming = null;
    for (const secret of secrets) if (!secret.empty && !this.kept.some((known) => known.bytes().equals(secret.bytes()))) this.kept.push(secret);
  },
  note(...values) {
    if (!values.some((v) => v && !v.empty)) return;
    this.naming = null;
    this.lately.push(...values.filter((v) => v && !v.empty));
    if (this.lately.length > 64) this.lately.splice(0, this.lately.length - 64);
  },
  scrub(text, ...more) { return cut(text, [...this.kept, ...(more.length ? more : this.lately)].map((secret) => secret.pieces())); },
  /** Scrubs what names something: pieces have more characters, so that it is not another
      name by accident, and where the name that was asked for stands, it stays. */
  name(text, asked = "") {
    this.naming ||= new Set([...this.kept, ...this.lately].flatMap((secret) => [...secret.pieces(NAMING).found])); // a list has many names
    return cut(text, [{ size: NAMING, found: this.naming }], asked);
  },
};

/** The text without the pieces of secrets, but for those within the name that was asked for. */
function cut(text, secrets, asked = "") {
  if (!text) return "";
  const letters = Array.from(String(text)), low = letters.map(lower), hidden = new Set(), name = Array.from(asked, lower);
  const stays = name.length ? low.map((_, at) => at).filter((at) => name.every((c, i) => c === low[at + i])) : [];
  for (const { size, found } of secrets) {
    for (let i = 0; found.size && i < low.length; i++) {
      let piece = "", n = i;
      while (piece.length < size && n < low.length) piece += low[n++];
      if (found.has(piece) && !stays.some((at) => at <= i && n <= at + name.length)) for (let k = i; k < n; k++) hidden.add(k);
    }
  }
  return letters.map((c, i) => (!hidden.has(i) ? c : hidden.has(i - 1) ? "" : "[secret]")).join("");
}

const write = process.stderr.write.bind(process.stderr);
const logLine = (level, message, keys = {}) => {
  const line = Object.fromEntries(Object.entries(keys).map(([k, v]) => [k, typeof v === "number" || typeof v === "boolean" ? v : String(v)]));
  process.stderr.write(JSON.stringify({ ...line, "@level": level, "@message": String(message), "@timestamp": new Date().toISOString() }) + "\n");
};
/** Writes lines that rekey shows with their level. */
const log = Object.fromEntries(["debug", "info", "warn", "error"].map((level) => [level, (message, keys) => logLine(level, message, keys)]));

/** Where an error came from, without its text, which may quote a value. */
const where = (e) => String((e && e.stack) || "").split("\n").filter((line) => /^\s+at /.test(line)).map((line) => line.trim()).slice(0, 12).join(" < ");
const nameOf = (e) => (e && e.constructor && e.constructor.name) || typeof e;

/** A REST target: what a request came to is Refused or Lost by the contract's rules. */
class HTTP {
  constructor(url, { token = null, headers = {}, insecure = false, ca } = {}) {
    try { this.url = new URL(url); } catch { throw new Refused("InvalidConfig", "url: want https://HOST"); }
    Object.assign(this, { token, headers, ca });
    if (!["http:", "https:"].includes(this.url.protocol)) throw new Refused("InvalidConfig", "url: want https://HOST");
    if (this.url.protocol === "http:" && !insecure && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(this.url.hostname))
      throw new Refused("InsecureTransport", "url: values would travel in clear; use https");
  }
  /** Sends one request and resolves to the answer: JSON as JavaScript has it, null for an
      empty one. Statuses other than 2xx throw, but for those in accept, which are returned
      as numbers. What is refused after another request, which was not GET or HEAD, is Lost:
      say changes = false of one that changes nothing, such as a logon. */
  call(op, method, where, body, accept = [], changes = true) {
    const own = changes && !["GET", "HEAD"].includes(method) && !QUESTIONS.includes(op.verb) ? 1 : 0;
    const timeout = op.left(), text = body === undefined ? undefined : JSON.stringify(body);
    const headers = { accept: "application/json", ...this.headers, ...(text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
      ...(this.token ? { authorization: "Bearer " + this.token.text() } : {}) };
    return new Promise((resolve, reject) => {
      const secure = this.url.protocol === "https:";
      const request = (secure ? https : http).request(this.url.origin + this.url.pathname.replace(/\/$/, "") + where, { method, headers, agent: false, signal: op.signal, ca: this.ca });
      let connected = false;
      op.took(own); // before it connects: others may run beside it
      const refuse = (failure) => {
        if (failure.outcome === REFUSED) op.took(-own);
        reject(op.of(failure));
      };
      const timer = setTimeout(() => request.destroy(Object.assign(new Error(), { code: "ETIMEDOUT" })), timeout);
      request.on("socket", (socket) => {
        const ready = () => { connected = true; op.sent(); };
        if (socket.connecting || socket.secureConnecting) socket.once(secure ? "secureConnect" : "connect", ready);
        else ready();
      });
      request.on("error", (e) => {
        clearTimeout(timer);
        if (!connected) refuse(op.signal.aborted || e.code === "ETIMEDOUT" ? new Refused("Timeout", "no connection in time") : new Refused("Unreachable", `${this.url.host}: ${e.code || "no connection"}`));
        else reject(op.signal.aborted || e.code === "ETIMEDOUT" ? new Lost("Timeout", "no answer in time") : new Lost("ConnectionLost", `the connection broke after the request was sent: ${e.code || ""}`));
      });
      request.on("response", (answer) => {
        const parts = [];
        let size = 0;
        const whole = () => {
          clearTimeout(timer);
          const status = answer.statusCode;
          const failure = Math.floor(status / 100) === 2 ? null : failed(status, Math.max(0, Number(answer.headers["retry-after"]) || 0));
          if (failure && !accept.includes(status)) return refuse(failure);
          if (failure && failure.outcome === REFUSED) op.took(-own);
          if (accept.includes(status)) return resolve(status);
          if (size > LONGEST) return reject(new Lost("TargetError", "the answer is too long"));
          const said = Buffer.concat(parts).toString();
          try { resolve(said ? JSON.parse(said) : null); } catch { reject(new Lost("TargetError", "the answer is not JSON")); }
        };
        answer.on("data", (part) => {
          if (size > LONGEST) return; // more of what is destroyed
          size += part.length;
          if (size <= LONGEST) return void parts.push(part);
          whole(); // the status says enough, unless it is a success
          request.destroy();
        });
        answer.on("aborted", () => reject(new Lost("ConnectionLost", "the connection broke within the answer")));
        answer.on("end", whole);
      });
      request.end(text);
    });
  }
}

const STATUSES = { 401: "LoginExpired", 403: "PermissionDenied", 404: "AccountNotFound", 410: "AccountNotFound", 405: "Unsupported", 501: "Unsupported", 408: "Timeout",
  409: "Conflict", 412: "Conflict", 423: "AccountStatus", 429: "RateLimited", 503: "TargetUnavailable", 301: "InvalidConfig", 307: "InvalidConfig", 308: "InvalidConfig",
  502: "TargetUnavailable", 504: "Timeout", ...Object.fromEntries([400, 406, 411, 413, 414, 415, 422, 431].map((s) => [s, "InvalidOperation"])) };

/** What a status means where a target says nothing more, as sdk/rest has it. */
function failed(status, retry_after = 0) {
  const kind = [300, 302, 303].includes(status) || (status >= 500 && status !== 501 && status !== 503) ? Lost : Refused;
  return new kind(STATUSES[status] || "TargetError", `HTTP ${status}`, { native: `HTTP ${status}`, retry_after: Math.min(retry_after, 3600), account_status: status === 423 ? "locked" : "" });
}

/** A setting or an option as JavaScript has it; a duration in milliseconds. */
function plain(value) {
  switch (value.kind) {
    case "duration_ns": return milliseconds(value.duration_ns);
    case "number": return number(value.number);
    case "list": return value.list.items || [];
    default: return value.kind ? value[value.kind] : null;
  }
}
/** The entries of a map: some versions of protobufjs read a descriptor's maps as lists of entries. */
const entries = (map) => (Array.isArray(map) ? map.map((e) => [e.key, e.value]) : Object.entries(map || {}));
const wire = { folds: false }; // whether this version takes maps as objects
const mapOf = (list) => (wire.folds ? Object.fromEntries(list) : list.map(([key, value]) => ({ key, value })));
const plainAll = (values) => Object.fromEntries(entries(values).map(([name, value]) => [name, plain(value)]));

/** A setting of an instance, or an option of an operation; a default duration is in milliseconds. */
function field(name, type = "string", { required = false, default: otherwise, choices = [], doc = "", conflicts = [] } = {}) {
  const made = { name, type, required, choices, doc, conflicts };
  if (otherwise === undefined) return made;
  const kinds = { bool: { flag: otherwise }, int: { number: String(otherwise) }, list: { list: { items: otherwise } } };
  return { ...made, default: type === "duration" ? { duration_ns: ns(otherwise) } : kinds[type] || { text: otherwise } };
}

/** The receipt of a defect. The text of an error may quote a value: only its type is told. */
function slip(e, op) {
  log.error(`the backend threw ${nameOf(e)}`, { method: op.verb, stack: where(e) });
  return { outcome: UNKNOWN, error: { code: "Internal", message: `the backend threw ${nameOf(e)}; its log has the rest` } };
}

/** What a verify returned, as the wire has it. What is no verdict cannot tell. */
function verdict(got) {
  if (!VERDICTS.has(got)) log.error(`verify returned a ${nameOf(got)}, which is no verdict`);
  return VERDICTS.get(got) || 0;
}

const refusal = (code, message) => ({ outcome: REFUSED, error: { code, message } });
const reused = () => refusal("InvalidOperation", "the id was used for another operation");

/** One call of an instance: answered once, whatever becomes of it. */
class Job {
  #answer;
  constructor(op, work, answer, gone = () => false) { Object.assign(this, { op, work, gone, past: null, stuck: false }); this.#answer = answer; }
  answer(receipt) {
    const answer = this.#answer;
    this.#answer = null;
    if (answer) answer(receipt);
    return Boolean(answer);
  }
}

/** One opened instance: its queue, and what it remembers. */
class Instance {
  constructor(service, target, config) {
    Object.assign(this, { service, target, config, queue: [], running: new Set(), stuck: 0, guests: 0, shut: false, past: new Map(), current: new Map(), idle: null });
  }

  /** Refuses what the description does not declare. An earlier attempt may have met
      another version of the plugin, which took it: a later one says nothing of that. */
  admit(op) {
    try {
      this.declared(op);
    } catch (e) {
      if (op.attempt > 1 && e instanceof Refused) e.error.code = "PermissionDenied";
      throw e;
    }
  }

  declared(op) {
    const d = this.service.description;
    if (!(CHANGES.includes(op.verb) || ASKED.includes(op.verb) ? d.verbs : d.abilities).includes(op.verb)) throw new Refused("Unsupported", `this backend has no ${op.verb.slice(0, 20)}`);
    if (op.verb === "list" || op.verb === "check" || (op.verb === "policy" && !op.account)) return;
    if (!op.account) throw new Refused("InvalidOperation", "the account is empty");
    const whole = op.verb === "find" || (["unlock", "revoke"].includes(op.verb) && !op.kind); // about the account, not about one credential of it
    if (!whole && !(d.kinds.length ? d.kinds.map((k) => k.name) : [""]).includes(op.kind)) throw new Refused("InvalidOperation", `there is no kind ${short(op.kind)}`);
    if (op.hash_format && (op.verb !== "set" || !d.hash_formats.includes(op.hash_format))) throw new Refused("Unsupported", `there is no hash format ${short(op.hash_format)} of a ${op.verb}`);
    if (op.must_change && !this.service.mustChange) throw new Refused("Unsupported", "must_change: this backend cannot demand a change");
    if ((CHANGES.includes(op.verb) || op.verb === "verify") && (!op.value || op.value.empty || (op.verb === "change" && !op.old))) throw new Refused("InvalidOperation", "the value is empty or missing");
    for (const name of Object.keys(op.options)) if (!d.options.some((o) => o.name === name)) throw new Refused("InvalidOperation", `there is no option ${short(name)}`);
  }

  /** Calls the target's method and tells what came of it. */
  async receipt(op) {
    try {
      this.admit(op);
      let got = await this.target[op.verb](op);
      if (QUESTIONS.includes(op.verb)) return { outcome: APPLIED, got };
      got = got instanceof Applied ? got : new Applied();
      redactor.note(got.value);
      return { outcome: got.already ? ALREADY : APPLIED, ref: this.clean(got.ref, op), stamp: this.clean(got.stamp, op), value: got.value && op.verb === "reset" ? { value: got.value.bytes() } : null };
    } catch (e) {
      return this.failure(e, op);
    }
  }

  /** The receipt of a failure. The refusal of a later attempt says nothing of the first. */
  failure(e, op) {
    if (!(e instanceof Failure)) return slip(e, op);
    const clean = (text) => this.clean(text, op), { code, account_status } = e.error;
    const later = op.attempt > 1 && e.outcome === REFUSED && DEFINITE.includes(code);
    const violations = e.error.violations.map((v) => ({ rule: String(v.rule || ""), limit: Number.isSafeInteger(Number(v.limit)) ? Number(v.limit) : 0, native: clean(v.native), message: clean(v.message) }));
    const error = { ...e.error, code: later ? "TargetError" : String(code || ""), account_status: String(account_status || ""), message: clean(e.error.message), native: clean(e.error.native), violations };
    return { outcome: e.outcome, error };
  }

  clean(text, op) { return redactor.scrub(String(text || "").slice(0, 2000), ...[op.value, op.old].filter(Boolean)); }

  /** Has a change done, or answers from memory. */
  submit(op, answer, gone) {
    const job = new Job(op, () => this.receipt(op), answer, gone);
    if (!op.id || !CHANGES.includes(op.verb)) return this.push(job);
    const what = JSON.stringify([op.verb, op.account, op.kind]), was = this.past.get(op.id), runs = this.current.get(op.id);
    if (was) {
      this.past.delete(op.id);
      this.past.set(op.id, was);
      return job.answer(was.what !== what ? reused() : { outcome: ALREADY, ref: was.ref, stamp: was.stamp });
    }
    if (runs) return runs.what !== what ? job.answer(reused()) : runs.joined.push(job);
    job.past = { what, joined: [] };
    this.current.set(op.id, job.past);
    this.push(job);
  }

  /** Asks a question as one of the operations. */
  ask(op, gone) { return new Promise((resolve) => this.push(new Job(op, () => this.receipt(op), resolve, gone))); }

  reason() {
    if (this.shut) return refusal("Cancelled", "the backend is being closed");
    return this.stuck >= this.config.concurrency ? refusal("Timeout", "not sent: all operations that may run ignore their deadline") : null;
  }

  push(job) {
    const reason = this.reason();
    if (reason) return void this.finish(job, reason);
    this.queue.push(job);
    this.start();
  }

  start() {
    while (this.running.size < this.config.concurrency && this.queue.length) this.run(this.queue.shift());
  }

  async run(job) {
    this.running.add(job);
    job.op.begin();
    const end = setTimeout(() => { job.op.end(); job.timer = setTimeout(() => this.abandon(job), GRACE); }, job.op.timeout);
    const receipt = job.gone() ? refusal("Cancelled", "given up before it was sent") : await job.work().catch((e) => slip(e, job.op)); // else its place stays taken
    clearTimeout(end);
    clearTimeout(job.timer);
    this.finish(job, receipt);
    this.running.delete(job);
    this.stuck -= job.stuck;
    this.start();
    this.quiet();
  }

  /** Answers a job whose call ignores its deadline; its place stays taken. */
  abandon(job) {
    const late = { outcome: UNKNOWN, error: { code: "Timeout", message: "no answer in time, and the call goes on" } };
    for (const other of job.past ? job.past.joined : []) other.answer(late);
    if (!job.answer(late)) return;
    job.stuck = true;
    this.stuck++;
    const reason = this.reason();
    if (reason) for (const waiting of this.queue.splice(0)) this.finish(waiting, reason);
  }

  /** Tells what came of a job, and remembers it. */
  finish(job, receipt) {
    if (job.past) this.current.delete(job.op.id);
    if (job.past && (receipt.outcome === APPLIED || receipt.outcome === ALREADY)) {
      this.past.set(job.op.id, { what: job.past.what, ref: receipt.ref, stamp: receipt.stamp });
      if (this.past.size > REMEMBERED) this.past.delete(this.past.keys().next().value);
    }
    job.answer(receipt);
    for (const other of job.past ? job.past.joined : []) other.answer(receipt.outcome === APPLIED ? { ...receipt, outcome: ALREADY } : receipt);
  }

  /** Refuses what waits, lets what runs end, and resolves to the ids of what did not. */
  async close(grace) {
    this.shut = true;
    for (const job of this.queue.splice(0)) this.finish(job, this.reason());
    let timer;
    if (this.running.size + this.guests > 0) await Promise.race([new Promise((done) => { this.idle = done; }), new Promise((done) => { timer = setTimeout(done, grace); })]);
    clearTimeout(timer);
    const left = [...this.running].map((job) => job.op.id).filter(Boolean);
    for (const job of this.running) job.op.end();
    if (!this.running.size && this.target.close) await this.target.close();
    return left;
  }

  quiet() {
    if (this.idle && this.running.size + this.guests === 0) this.idle();
  }

  /** Makes a call that takes no place, which close waits for. */
  async visit(call) {
    this.guests++;
    try { return await call(); } finally { this.guests--; this.quiet(); }
  }
}

/** The calls by their names. */
class Service {
  constructor(target, description, mustChange) { Object.assign(this, { target, description, mustChange, instances: new Map() }); }

  of(name) {
    const found = this.instances.get(name);
    if (!found) throw Object.assign(new Error("there is no such instance"), { status: 5 });
    return found;
  }

  Describe() { return { description: this.description }; }

  Configure(request) {
    const d = this.description, config = { ...Object.fromEntries(d.config.map((f) => [f.name, null])), ...plainAll(request.values) };
    for (const [name, value] of entries(request.secrets)) redactor.keep((config[name] = new Secret(value.value)));
    const hidden = { label: request.label, concurrency: Math.max(1, Number(request.concurrency)), timeout: milliseconds(request.timeout_ns) || 30000, handed: (request.handed || []).map((v) => new Secret(v.value)) };
    redactor.keep(...hidden.handed);
    for (const f of d.config) if (f.required && config[f.name] === null) return { error: { code: "InvalidConfig", message: `${f.name} is required` } };
    let target;
    try {
      target = new this.target(config, hidden);
    } catch (e) {
      if (!(e instanceof Failure)) throw e;
      return { error: { code: e.error.code, message: redactor.scrub(e.error.message) } };
    }
    if (this.instances.has(request.instance)) throw Object.assign(new Error("there is such an instance"), { status: 6 });
    this.instances.set(request.instance, new Instance(this, target, hidden));
    return { abilities: d.abilities, stream: true, stream_verbs: ["verify"] };
  }

  async Close(request) {
    const instance = this.instances.get(request.instance);
    this.instances.delete(request.instance);
    return { unfinished: instance ? await instance.close(milliseconds(request.grace_ns)) : [] };
  }

  async end(grace) {
    const all = [...this.instances.values()];
    this.instances.clear();
    await Promise.allSettled(all.map((instance) => instance.close(grace)));
  }

  one(verbs, request, gone) {
    const instance = this.of(request.instance), verb = request.operation.verb || verbs[0];
    if (!verbs.includes(verb)) return { receipt: refusal("InvalidOperation", `this call has no verb ${short(verb)}`) };
    const op = new Operation(verb, instance.config.timeout, request.operation);
    return new Promise((resolve) => instance.submit(op, (receipt) => resolve({ receipt }), gone));
  }
  Apply(request, gone) { return this.one(CHANGES, request, gone); }
  Reset(request, gone) { return this.one(["reset"], request, gone); }
  Unlock(request, gone) { return this.one(["unlock"], request, gone); }
  Revoke(request, gone) { return this.one(["revoke"], request, gone); }

  /** Has operations done as their frames come; reads no further ahead than READ_AHEAD. */
  ApplyStream(call) {
    let instance, owed = 0, over = false, gone = false, held = [];
    const flush = () => {
      for (; held.length && !gone; held = held.slice(64)) call.write({ answers: held.slice(0, 64) });
      held = [];
      if (owed < READ_AHEAD) call.resume();
      if (over && owed === 0) call.end();
    };
    const answer = (number, receipt) => {
      owed--;
      if (held.push({ number, receipt }) === 1) setImmediate(flush);
    };
    call.on("data", (frame) => {
      try {
        instance = instance || this.of(frame.instance);
      } catch (e) {
        gone = true;
        return void call.emit("error", { code: e.status, details: e.message });
      }
      owed += frame.operations.length;
      if (owed >= READ_AHEAD) call.pause();
      for (const { number, operation } of frame.operations) this.numbered(instance, operation, (receipt) => answer(number, receipt), () => gone);
    });
    call.on("end", () => { over = true; flush(); });
    call.on("cancelled", () => { gone = true; });
    call.on("error", () => { gone = true; });
  }

  numbered(instance, operation, answer, gone) {
    const verb = operation.verb;
    if (verb !== "verify" && !CHANGES.includes(verb)) return answer(refusal("InvalidOperation", `a stream has no verb ${short(verb)}`));
    const op = new Operation(verb, instance.config.timeout, operation);
    if (verb !== "verify") return instance.submit(op, answer, gone);
    instance.ask(op, gone).then((receipt) => answer(receipt.outcome === APPLIED ? { outcome: APPLIED, verdict: verdict(receipt.got) } : { ...receipt, outcome: REFUSED }));
  }

  async question(verb, request, gone, answer) {
    const instance = this.of(request.instance), receipt = await instance.ask(new Operation(verb, instance.config.timeout, request), gone);
    return receipt.outcome === APPLIED ? answer(receipt.got) : { error: receipt.error };
  }
  Find(request, gone) { return this.question("find", request, gone, (got) => ({ account: accountFound({ account: request.account, ...got }, request.account) })); }
  Policy(request, gone) { return this.question("policy", request, gone, (policy) => ({ policy: policyOf(policy) })); }
  Verify(request, gone) { return this.question("verify", request, gone, (got) => ({ verdict: verdict(got) })); }

  Check(request) {
    const instance = this.of(request.instance);
    return instance.visit(async () => {
      const op = new Operation("check", instance.config.timeout);
      op.begin();
      const receipt = await instance.receipt(op);
      const findings = receipt.outcome === APPLIED ? receipt.got || [] : [{ ...receipt.error, severity: "bad" }];
      return { findings: findings.map((f) => ({ code: f.code, message: redactor.scrub(f.message), fix: redactor.scrub(f.fix), severity: SEVERITIES[f.severity || "bad"] })) };
    });
  }

  async List(call) {
    const instance = this.of(call.request.instance);
    await instance.visit(async () => {
      const op = new Operation("list", 1e12, {}, { filter: call.request.filter, attributes: call.request.attributes });
      let accounts = [], error = null;
      try {
        instance.admit(op);
        for await (const one of await instance.target.list(op)) {
          if (call.cancelled) return;
          if (accounts.push(accountOf(one)) < 64) continue;
          const room = call.write({ accounts });
          accounts = [];
          if (!room) await new Promise((go) => { call.once("drain", go); call.once("cancelled", go); });
        }
      } catch (e) {
        error = instance.failure(e, op).error;
      }
      if (accounts.length || error) call.write({ accounts, error });
      call.end();
    });
  }

  /** The handlers, as grpc-js calls them. */
  handlers() {
    const unary = (name) => (call, done) => Promise.resolve().then(() => this[name](call.request, () => call.cancelled)).then((answer) => done(null, answer), (e) => done(statusOf(e)));
    const made = Object.fromEntries(["Describe", "Configure", "Close", "Apply", "Reset", "Unlock", "Revoke", "Find", "Policy", "Verify", "Check"].map((name) => [name, unary(name)]));
    return { ...made, ApplyStream: (call) => this.ApplyStream(call), List: (call) => this.List(call).catch((e) => call.emit("error", statusOf(e))) };
  }
}

/** The status of a call that failed. The text of an error may quote a value. */
function statusOf(e) {
  if (e.status) return { code: e.status, details: e.message };
  log.error(`a call failed: ${nameOf(e)}`, { stack: where(e) });
  return { code: 13, details: nameOf(e) };
}

/** An account as the wire has it. Which attributes of a list are secrets themselves rekey
    knows: it scrubs the others. */
function accountOf({ changed_at = 0, attributes = {}, ...found }, asked = "") {
  const lists = mapOf(Object.entries(attributes).filter(([, v]) => Array.isArray(v)).map(([k, items]) => [k, { items }]));
  const texts = mapOf(Object.entries(attributes).map(([k, v]) => [k, Array.isArray(v) ? v.join(",") : String(v)]));
  for (const key of ["account", "id", "login", "name", "mail", "stamp"]) if (found[key]) found[key] = redactor.name(found[key], asked);
  if (found.kinds) found.kinds = found.kinds.map((kind) => redactor.name(kind));
  return { ...found, changed_at_unix_ns: ns(changed_at instanceof Date ? changed_at.getTime() : changed_at * 1000), attributes: texts, lists };
}

/** An account of a find, its attributes scrubbed. */
function accountFound({ attributes = {}, ...found }, asked) {
  const clean = (text) => redactor.name(String(text), asked);
  const scrubbed = Object.entries(attributes).map(([k, v]) => [clean(k), Array.isArray(v) ? v.map(clean) : clean(v)]);
  return accountOf({ ...found, attributes: Object.fromEntries(scrubbed) }, asked);
}

/** The rules as the wire has them. Characters that look like a secret are sorted: they
    mean the same. */
function policyOf({ note, forbid_words, ...rules }) {
  for (const key of ["alphabet", "allowed_symbols", "forbid", "forbid_first"])
    if (rules[key] && redactor.name(rules[key]) !== rules[key]) rules[key] = [...new Set(rules[key])].sort().join("");
  return { ...rules, note: redactor.scrub(note), forbid_words: (forbid_words || []).map((word) => redactor.name(word)) };
}

/** Makes a key and a self-signed certificate of this one process. */
function certificate() {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const der = (tag, ...parts) => {
    const body = Buffer.concat(parts.map((p) => Buffer.from(p))), size = body.length;
    return Buffer.concat([Buffer.from(size < 128 ? [tag, size] : size < 256 ? [tag, 0x81, size] : [tag, 0x82, size >> 8, size & 255]), body]);
  };
  const oid = (hex) => der(6, Buffer.from(hex, "hex")), algorithm = der(0x30, oid("2a8648ce3d040302")); // ecdsa-with-SHA256
  const name = der(0x30, der(0x31, der(0x30, oid("550403"), der(0x0c, "localhost"))));
  const time = (days) => der(0x18, new Date(Date.now() + days * 864e5).toISOString().replace(/[-:T]|\.\d+/g, ""));
  const extension = (id, value, ...critical) => der(0x30, oid(id), ...critical, der(4, value));
  const extensions = der(0xa3, der(0x30, extension("551d11", der(0x30, der(0x82, "localhost"))), extension("551d13", der(0x30, [1, 1, 0xff]), [1, 1, 0xff])));
  const tbs = der(0x30, der(0xa0, [2, 1, 2]), [2, 1, 1], algorithm, name, der(0x30, time(-1), time(9000)), name, publicKey.export({ type: "spki", format: "der" }), extensions);
  const whole = der(0x30, tbs, algorithm, der(3, [0], crypto.sign("sha256", tbs, privateKey)));
  return { der: whole, key: privateKey.export({ type: "pkcs8", format: "pem" }), pem: `-----BEGIN CERTIFICATE-----\n${whole.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n` };
}

/** Ends the process with a line on standard error. */
function stop(text) {
  fs.writeSync(2, text + "\n");
  process.exit(1);
}

/** Makes all that is printed go to standard error, in whole lines, scrubbed. */
function takeOutput() {
  let rest = "";
  process.stderr.write = (text, ...more) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) write(redactor.scrub(line.slice(0, 8000)) + "\n");
    const done = more.find((m) => typeof m === "function");
    if (done) process.nextTick(done);
    return true;
  };
  process.stdout.write = process.stderr.write;
  const dies = (e) => { fs.writeSync(2, redactor.scrub(JSON.stringify({ "@level": "error", "@message": `uncaught ${nameOf(e)}`, stack: where(e) })) + "\n"); process.exit(1); };
  process.on("uncaughtException", dies);
  process.on("unhandledRejection", dies);
}

/** Serves a class until the host is done with it. more are fields of Description: doc,
    config, options, kinds, hash_formats, replay_safe, recover, limits, egress, paths,
    verify_is_logon, target; and must_change. */
function serve(target, { name, version, summary, must_change = false, limits = {}, kinds = [], config = [], options = [], hash_formats = [], ...more }) {
  const has = (method) => typeof target.prototype[method] === "function";
  const description = { name, version, summary, config, options, hash_formats, limits, must_change, kinds: kinds.map((k) => (typeof k === "string" ? { name: k } : k)),
    verbs: [...CHANGES, ...ASKED].filter(has), abilities: [...QUESTIONS, ...ASKED].filter(has), ...more };
  if (process.env.REKEY_PLUGIN !== "rekey-backend-v1") stop(`rekey-backend-${name} ${version} is a plugin of rekey: put it in $REKEY_PLUGIN_DIR and see \`rekey backends ${name}\``);
  const spoken = (process.env.PLUGIN_PROTOCOL_VERSIONS || "1").split(",");
  if (!spoken.includes("1")) stop(`rekey-backend-${name} speaks version 1 of the contract, this rekey ${spoken.join(", ")}: get a newer rekey.js`);
  takeOutput();
  run(new Service(target, description, must_change));
}

/** A package of npm; without it the process ends and says what to do. */
function needed(name) {
  try {
    return require(name);
  } catch (e) {
    if (e.code !== "MODULE_NOT_FOUND") throw e;
    stop(`${name} is not there: npm install in ${__dirname}`);
  }
}

function run(service) {
  const grpc = needed("@grpc/grpc-js"), loader = needed("@grpc/proto-loader");
  const proto = loader.loadFileDescriptorSetFromBuffer(zlib.gunzipSync(Buffer.from(DESCRIPTOR, "base64")), { keepCase: true, longs: String, defaults: true, oneofs: true });
  const server = new grpc.Server({ "grpc.max_receive_message_length": MESSAGE, "grpc.max_send_message_length": MESSAGE });
  const end = (grace) => {
    setTimeout(() => process.exit(0), END + 200);
    service.end(grace).then(() => setTimeout(() => process.exit(0), 50)); // what was answered is sent by then
  };
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => end(END));
  const calls = proto["rekey.backend.v1.Backend"];
  wire.folds = !Array.isArray(calls.Configure.requestDeserialize(Buffer.alloc(0)).values);
  server.addService(calls, service.handlers());
  const none = { requestSerialize: (v) => v, requestDeserialize: (v) => v, responseSerialize: (v) => v, responseDeserialize: (v) => v, requestStream: false, responseStream: false };
  server.addService({ Shutdown: { path: "/plugin.GRPCController/Shutdown", ...none } }, { Shutdown: (_, done) => { done(null, Buffer.alloc(0)); end(200); } });
  const own = certificate(), socket = path.join(process.env.PLUGIN_UNIX_SOCKET_DIR, `s${process.pid}`);
  const credentials = grpc.ServerCredentials.createSsl(Buffer.from(process.env.PLUGIN_CLIENT_CERT), [{ private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.pem) }], true);
  server.bindAsync("unix:" + socket, credentials, (e) => {
    if (e) stop(`rekey-backend-${service.description.name}: no socket: ${e.message}`);
    fs.writeSync(1, `1|1|unix|${socket}|grpc|${own.der.toString("base64").replace(/=+$/, "")}\n`);
  });
  const liveness = new net.Socket({ fd: Number(process.env.PLUGIN_LIVENESS_FD), readable: true, writable: false });
  liveness.on("close", () => end(END)).resume();
}

module.exports = { serve, field, quote, log, HTTP, Secret, Applied, Refused, Lost, ACCEPTED, REJECTED, MUST_CHANGE, BLOCKED };
