"""The gRPC service `google.firestore.v1.Firestore` over a `Store`, with faults on demand."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import grpc
from google.cloud.firestore_v1 import types
from google.protobuf.empty_pb2 import Empty

from sunriza_assets_tests.servers.firestore import query as queries
from sunriza_assets_tests.servers.firestore.store import RefusedError, Store

_SERVICE = "google.firestore.v1.Firestore"
_PORTS = range(20_000, 32_000)
"""Below those that connections go out from, so that none takes it while a server restarts."""


@dataclass
class Fault:
    """What goes wrong with the next calls of a method."""

    method: str
    """Commit, BatchGetDocuments, RunQuery…"""
    when: Literal["before", "after"] = "before"
    """before: nothing is done; after: the work is done and the answer is lost."""
    status: grpc.StatusCode | None = grpc.StatusCode.UNAVAILABLE
    """How the call ends; None only delays it."""
    delay_s: float = 0.0
    """How long the call is held up."""
    skip: int = 0
    """Calls that still go well."""
    times: int = 1
    """Calls that do not."""


class FirestoreServer:
    """A server on a port of this machine; a context manager."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self.calls: list[str] = []
        """Methods that were called, in order."""
        self.documents_read = 0
        """Documents that were sent: what Google would charge for."""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None
        self.port = 0

    @property
    def host(self) -> str:
        """For FIRESTORE_EMULATOR_HOST."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the former port if there was one."""
        server = grpc.server(
            ThreadPoolExecutor(max_workers=16, thread_name_prefix="firestore"),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)],
        )
        server.add_generic_rpc_handlers((self._handlers(),))
        deadline = time.monotonic() + 60
        while True:
            port = self.port or secrets.choice(_PORTS)
            try:
                self.port = server.add_insecure_port(f"127.0.0.1:{port}")
                break
            except RuntimeError:  # taken, or of a server that was stopped and not free at once
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        server.start()
        self._server = server

    def stop(self) -> None:
        """Drop every connection, as a server that is killed does; the store stays."""
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None

    def fail(self, method: str, **said: Any) -> None:
        """Let the next calls of a method go wrong, see `Fault`."""
        with self._lock:
            self._faults.append(Fault(method, **said))

    def heal(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._faults.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()

    # The protocol

    def _handlers(self) -> grpc.GenericRpcHandler:
        def unary(method: str, work: Callable[[Any], Any], request: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                self._guarded(method, work),
                request_deserializer=_pb(request).FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )

        def stream(method: str, work: Callable[[Any], Iterator[Any]], request: Any) -> Any:
            guarded = self._guarded(method, lambda said: list(work(said)))
            return grpc.unary_stream_rpc_method_handler(
                lambda said, context: iter(guarded(said, context)),
                request_deserializer=_pb(request).FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )

        handlers = {
            "Commit": unary("Commit", self._commit, types.CommitRequest),
            "BeginTransaction": unary(
                "BeginTransaction", self._begin, types.BeginTransactionRequest
            ),
            "Rollback": unary("Rollback", self._rollback, types.RollbackRequest),
            "BatchGetDocuments": stream(
                "BatchGetDocuments", self._batch_get, types.BatchGetDocumentsRequest
            ),
            "ListCollectionIds": unary(
                "ListCollectionIds", self._collection_ids, types.ListCollectionIdsRequest
            ),
            "RunQuery": stream("RunQuery", self._run_query, types.RunQueryRequest),
            "RunAggregationQuery": stream(
                "RunAggregationQuery", self._aggregate, types.RunAggregationQueryRequest
            ),
        }
        return grpc.method_handlers_generic_handler(_SERVICE, handlers)

    def _guarded(self, method: str, work: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            fault = self._fault_of(method)
            if fault and fault.delay_s:
                time.sleep(fault.delay_s)
            if fault and fault.status and fault.when == "before":
                context.abort(fault.status, "fault on demand")
            try:
                answer = work(request)
            except RefusedError as refusal:
                context.abort(refusal.status, refusal.message)
            except queries.UnsupportedError as unknown:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, str(unknown))
            except ValueError as wrong:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(wrong))
            if fault and fault.status and fault.when == "after":
                context.abort(fault.status, "fault on demand")
            return answer

        return call

    def _fault_of(self, method: str) -> Fault | None:
        with self._lock:
            self.calls.append(method)
            for fault in self._faults:
                if fault.method == method:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

    def _commit(self, request: Any) -> Any:
        results, now = self.store.commit(request.writes, request.transaction)
        answer = _pb(types.CommitResponse)()
        answer.write_results.extend(results)
        answer.commit_time.FromMicroseconds(now)
        return answer

    def _begin(self, request: Any) -> Any:
        del request
        return _pb(types.BeginTransactionResponse)(transaction=self.store.begin())

    def _rollback(self, request: Any) -> Any:
        self.store.rollback(request.transaction)
        return Empty()

    def _collection_ids(self, request: Any) -> Any:
        answer = _pb(types.ListCollectionIdsResponse)()
        with self.store.lock:
            answer.collection_ids.extend(self.store.collection_ids(request.parent))
        return answer

    def _batch_get(self, request: Any) -> Iterator[Any]:
        with self.store.lock:
            self.documents_read += len(request.documents)
            for name in request.documents:
                if request.transaction:
                    self.store.read_in(request.transaction, name)
                answer = _pb(types.BatchGetDocumentsResponse)()
                answer.read_time.GetCurrentTime()
                document = self.store.get(name)
                if document is None:
                    answer.missing = name
                elif request.HasField("mask"):
                    answer.found.name = name
                    answer.found.update_time.CopyFrom(document.update_time)
                    answer.found.create_time.CopyFrom(document.create_time)
                else:
                    answer.found.CopyFrom(document)
                yield answer

    def _run_query(self, request: Any) -> Iterator[Any]:
        with self.store.lock:
            documents = queries.run(self.store, request.parent, request.structured_query)
            if request.transaction:
                for document in documents:
                    self.store.read_in(request.transaction, document.name)
        self.documents_read += len(documents)
        for document in documents:
            answer = _pb(types.RunQueryResponse)()
            answer.document.CopyFrom(document)
            answer.read_time.GetCurrentTime()
            yield answer
        if not documents:
            answer = _pb(types.RunQueryResponse)()
            answer.read_time.GetCurrentTime()
            yield answer

    def _aggregate(self, request: Any) -> Iterator[Any]:
        asked = request.structured_aggregation_query
        with self.store.lock:
            count = len(queries.run(self.store, request.parent, asked.structured_query))
        answer = _pb(types.RunAggregationQueryResponse)()
        answer.read_time.GetCurrentTime()
        for one in asked.aggregations:
            if one.WhichOneof("operator") != "count":
                raise queries.UnsupportedError("only count() is known")
            answer.result.aggregate_fields[one.alias].integer_value = count
        yield answer


def _pb(message: Any) -> Any:
    """The bare protobuf class behind a proto-plus class."""
    return type(message.pb(message()))
