package http

const doc = `A definition is a file of at most forty lines of code in Starlark, blank ones and its
text apart, that says how a system with a REST interface is asked. backend("http", definition = "acme.star", …) has the
settings, steps and abilities that the definition gives it; rekey backends http acme.star
shows them. It is part of the plugin: its SHA-256 is in the run, and resume refuses a
changed one. Definitions that come with rekey are @rekey/NAME.star.

    """Acme's accounts, by its REST interface."""

    http(
        summary = "accounts of Acme",
        settings = [setting("client", required = True), setting("secret", type = "secret", required = True)],
        must_change = True,
    )

    def auth(settings):
        return post("/token", body = form({"grant_type": "client_credentials"}), auth = basic(settings.client, settings.secret),
                    then = lambda answer: bearer(answer.secret("access_token"), seconds = answer.json["expires_in"]))

    def set(account, value, must_change):
        return put("/users/{}/password", account, body = json({"password": value, "must_change": bool(must_change)}))

    def failure(answer):
        if answer.status == 422:
            return refused("PolicyViolation", rules = ["opaque"])

    def verify(account, value):
        return post("/login", body = json({"name": account, "password": value}), auth = False, reads = True, accept = [401],
                    then = lambda answer: rejected() if answer.status == 401 else accepted())

Functions are pure: each returns a request, or what it came to. A request's then is
called with the answer and returns the next request, or the end: None is a mistake, and
what was to be changed is unknown then. Each function gets the parameters that it
names; names of your own begin with _.

function                                    returns in the end
auth(settings)                              bearer(), basic() or authorization(): for every request but those
                                            with auth = …; renewed when it is over or refused
set(settings, account, value, must_change)  applied() or refused(); a good answer without a then is applied()
change(settings, account, old, value)       the same; reset, unlock and revoke(settings, account) too
verify(settings, account, value)            accepted(), accepted_must_change(), rejected(), blocked(), cannot_tell()
find(settings, account)                     found(name, id, login, full_name, mail, status, must_change, changed_at, stamp)
list(settings, filter)                      page([found(…), …], next = the request for the next page)
policy(settings, account)                   rules(min_length, lower, upper, digits, symbols, history, …)
check(settings)                             finding("info" or "warning" or "bad", message, fix)
failure(settings, verb, answer)             refused(), unknown(), or None for what the status says by itself

set, change, reset, unlock and revoke may also name attempt, requestor and
source_system.

    get, post, put, patch, delete(path, parts…, body, query, headers, auth, then, accept, reads)
        each {} in the path takes one part, escaped; a whole https:// address has to be of url or of egress
        body = json(VALUE) or form(DICT); auth = basic(…), or False for none
        accept = [401] has then called with that refusal; where then has nothing to say
        of it, it stays one; reads = True: a post that changes nothing; reads = False: a get that does
    answer.status, .json (None where it is not JSON), .text, .header(NAME), .next (of the header Link),
        .secret(NAME, …): a text in the JSON, such as a token
    refused(CODE, message, native, rules, status, retry_after), unknown(…): codes and rules are rekey's own
    setting(NAME, type, required, default, choices, doc): string int bool duration choice list path url secret
    http(summary, settings, version, url, login, egress, target, concurrency, timeout, must_change, verify_is_logon, once)
        url: where the user gives none · login: the setting that names the account that rekey logs in as, which is
        then Protected · egress: further hosts, "login.example.com:443" or "{setting}" · target: the settings that say
        whose accounts they are · once: verbs that must not be sent twice

A value, and every setting of type secret, is opaque: it goes into json(), form(), basic(),
bearer() and authorization(), and has no text, no length and no comparison.

What no definition can say otherwise: a request whose answer is lost is unknown, and
so are a 5xx, and a refusal after an earlier request of the same call has changed
something. A password that no request changed is not applied.
Without failure() a status means what sdk/rest says of it: 404 AccountNotFound, 409
Conflict, 429 RateLimited, 500 unknown. A second attempt that is refused for its policy, its
old password or as InvalidOperation or Unsupported asks verify whether the first one
did it; without one it is unknown.`
