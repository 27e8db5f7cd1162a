"""What only a look inside shows: nothing of a closed instance stays, and a setting's secret is known once."""
import gc
import threading
import time
import types
import weakref

import rekey


class Users:
    def __init__(self, config):
        self.token = config["token"]

    def set(self, op):
        time.sleep(0.01)  # so that there are several workers


def opened(service, name):
    request = rekey.pb.ConfigureRequest(instance=name, concurrency=3)
    request.secrets["token"].value = b"t0p-secret-token"
    request.handed.add(value=b"h4nded-secret")
    service.Configure(request, None)
    return service.of(name)


def used(service, name):
    """Has operations done, several at once."""
    answers, context = [], types.SimpleNamespace(is_active=lambda: True)
    operation = rekey.pb.Operation(verb="set", account="ann", attempt=1, value=rekey.pb.Secret(value=b"Corr3ct-horse-battery"))
    callers = [threading.Thread(target=lambda: answers.append(service.Apply(rekey.pb.ApplyRequest(instance=name, operation=operation), context))) for _ in range(9)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [answer.receipt.outcome for answer in answers] == [rekey.APPLIED] * 9, answers


description = rekey.pb.Description(name="users", verbs=["set"], config=[rekey.field("token", "secret")])
service, before, gone = rekey.Service(Users, description, False), threading.active_count(), []
for name in "abcde":
    gone.append(weakref.ref(opened(service, name)))
    used(service, name)
    assert threading.active_count() > before + 1, "there are no workers to end"
    service.Close(rekey.pb.CloseRequest(instance=name, grace_ns=10 ** 9), None)
    late = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < late:
        time.sleep(0.01)
    assert threading.active_count() == before, "%d workers of a closed instance wait on" % (threading.active_count() - before)
gc.collect()
assert [one() for one in gone] == [None] * 5, "a closed instance is kept"
assert sorted(secret.text() for secret in rekey.redactor.kept) == ["h4nded-secret", "t0p-secret-token"], "%d secrets are kept" % len(rekey.redactor.kept)
