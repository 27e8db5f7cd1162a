"""What every backend of rekey in Python needs: the process and the calls, as
sdk/proto/backend/v1/README.md describes them. It knows nothing of any target.

    serve(DESCRIPTION, Instance)

Instance(values, secrets) opens an instance. Its methods are apply(operation,
in_time), which returns a Receipt, and those of the abilities that DESCRIPTION
lists: find(account), which returns an Account, verify(account, kind, value),
which returns a Verdict. They are called concurrently and raise Refused.
"""

import base64
import concurrent.futures
import os
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import threading

import grpc

import backend_pb2 as pb


class Refused(Exception):
    """The target has certainly not changed. The message quotes no value."""

    def __init__(self, code, message, **more):
        self.error = pb.Error(code=code, message=message, **more)


class NoCall(Exception):
    """The call itself makes no sense."""


class Service:
    """The calls by their names; one without a method is UNIMPLEMENTED."""

    def __init__(self, description, make):
        self.description, self.make, self.instances, self.lock = description, make, {}, threading.Lock()
        for ability in ("find", "verify"):
            if ability not in description.abilities:
                setattr(self, ability.capitalize(), None)

    def of(self, request):
        if request.instance not in self.instances:
            raise NoCall(grpc.StatusCode.NOT_FOUND, "there is no such instance")
        return self.instances[request.instance]

    def Describe(self, request, in_time):
        return pb.DescribeResponse(description=self.description)

    def Configure(self, request, in_time):
        try:
            instance = self.make({k: v.text for k, v in request.values.items()}, {k: v.value for k, v in request.secrets.items()})
        except Refused as e:
            return pb.ConfigureResponse(error=e.error)
        with self.lock:
            if self.instances.setdefault(request.instance, instance) is not instance:
                raise NoCall(grpc.StatusCode.ALREADY_EXISTS, "there is such an instance")
        return pb.ConfigureResponse(abilities=self.description.abilities)

    def Close(self, request, in_time):
        self.instances.pop(request.instance, None)
        return pb.CloseResponse()

    def Apply(self, request, in_time):
        instance = self.of(request)
        try:
            receipt = instance.apply(request.operation, in_time)
        except Refused as e:
            receipt = pb.Receipt(outcome=pb.OUTCOME_REFUSED, error=e.error)
        except Exception as e:  # its text may quote a value; only its type is told
            receipt = pb.Receipt(outcome=pb.OUTCOME_UNKNOWN, error=pb.Error(code="Internal", message=type(e).__name__))
        return pb.ApplyResponse(receipt=receipt)

    def Find(self, request, in_time):
        try:
            return pb.FindResponse(account=self.of(request).find(request.account))
        except Refused as e:
            return pb.FindResponse(error=e.error)

    def Verify(self, request, in_time):
        try:
            return pb.VerifyResponse(verdict=self.of(request).verify(request.account, request.kind, request.value.value))
        except Refused as e:
            return pb.VerifyResponse(error=e.error)

    def handler(self):
        methods = pb.DESCRIPTOR.services_by_name["Backend"].methods
        return grpc.method_handlers_generic_handler("rekey.backend.v1.Backend", {
            m.name: grpc.unary_unary_rpc_method_handler(
                guarded(getattr(self, m.name)),
                request_deserializer=getattr(pb, m.input_type.name).FromString,
                response_serializer=lambda message: message.SerializeToString())
            for m in methods if getattr(self, m.name, None)})


def guarded(call):
    """Keeps the text of an exception, which may quote a value, in this process."""
    def guard(request, context):
        try:
            return call(request, context.is_active)
        except NoCall as e:
            status = e.args
        except Exception as e:
            status = grpc.StatusCode.INTERNAL, type(e).__name__
        context.abort(*status)
    return guard


def certificate():
    """Makes a key and a certificate of this one process; both PEM."""
    text = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "-", "-out", "-"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    key, begin, cert = text.partition("-----BEGIN CERTIFICATE-----")
    return key, begin + cert


def serve(description, make):
    if os.environ.get("REKEY_PLUGIN") != "rekey-backend-v1":
        sys.exit("rekey-backend-%s is a plugin of rekey: put it in $REKEY_PLUGIN_DIR" % description.name)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the memory holds passwords
    key, cert = certificate()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", 1 << 20)])

    def end(*_):
        threading.Thread(target=lambda: server.stop(1).wait()).start()
        return b""

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    server.add_generic_rpc_handlers([
        Service(description, make).handler(),
        grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": grpc.unary_unary_rpc_method_handler(end)})])
    socket = os.path.join(tempfile.mkdtemp(dir=os.environ["PLUGIN_UNIX_SOCKET_DIR"]), "s")
    server.add_secure_port("unix:" + socket, grpc.ssl_server_credentials(
        [(key.encode(), cert.encode())], os.environ["PLUGIN_CLIENT_CERT"].encode(), require_client_auth=True))
    server.start()
    print("1|1|unix|%s|grpc|%s" % (socket, base64.b64encode(ssl.PEM_cert_to_DER_cert(cert)).decode().rstrip("=")), flush=True)
    threading.Thread(target=with_host, args=(server,), daemon=True).start()
    server.wait_for_termination()


def with_host(server):
    """Ends the process with its host, however that ended: the pipe is closed then."""
    os.read(int(os.environ["PLUGIN_LIVENESS_FD"]), 1)
    server.stop(1).wait()
    os._exit(0)
