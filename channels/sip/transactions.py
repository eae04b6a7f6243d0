"""Every transaction of a process, found by what belongs to it (RFC 3261 sections 17.1.3, 17.2.3)."""

from __future__ import annotations

from typing import Final

from aiosipua.headers import Via
from aiosipua.message import SipRequest, SipResponse

from channels.sip.client import Client, Heard
from channels.sip.flow import Flow
from channels.sip.messages import BRANCH, cseq_of, tag_of, top_via
from channels.sip.server import Server

MOST: Final = 20_000
"""Transactions at once; what comes then is dropped."""

_Key = tuple[str, ...]


class Transactions:
    """Of one process. `scale` shortens every timer."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale
        self._clients: dict[tuple[str, str], Client] = {}
        self._servers: dict[_Key, Server] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    def begin(self, request: SipRequest, flow: Flow, heard: Heard) -> Client:
        """Send a request that has its Via."""
        made = Client(request, flow, heard, scale=self.scale, over=self._forget)
        self._clients[_client_key(request)] = made
        made.begin()
        return made

    def answered(self, answer: SipResponse) -> bool:
        """A response has come; False when it answers nothing of ours."""
        found = self._clients.get((top_via(answer).branch or "", cseq_of(answer).method))
        if found is None or answer.get_header("call-id") != found.request.get_header("call-id"):
            return False
        found.take(answer)
        return True

    def known(self, request: SipRequest) -> Server | None:
        """The transaction that a request belongs to: of an ACK, the INVITE's."""
        return self._servers.get(_server_key(request, request.method))

    def invited(self, cancel: SipRequest) -> Server | None:
        """The INVITE that a CANCEL is about."""
        return self._servers.get(_server_key(cancel, "INVITE"))

    def open(self, request: SipRequest, flow: Flow) -> Server | None:
        """For a request that came for the first time; None when there are too many."""
        if len(self._servers) >= MOST:
            return None
        key = _server_key(request, request.method)
        made = Server(request, flow, scale=self.scale, over=lambda: self._drop(key))
        self._servers[key] = made
        return made

    def _forget(self, client: Client) -> None:
        self._clients.pop(_client_key(client.request), None)

    def _drop(self, key: _Key) -> None:
        self._servers.pop(key, None)

    def close(self) -> None:
        for client in list(self._clients.values()):
            client.drop()
        for server in list(self._servers.values()):
            server.drop()


def _client_key(request: SipRequest) -> tuple[str, str]:
    return top_via(request).branch or "", request.method


def _server_key(request: SipRequest, method: str) -> _Key:
    """RFC 3261 section 17.2.3; without a branch of its kind, by what RFC 2543 had."""
    via = top_via(request)
    method = "INVITE" if method == "ACK" else method
    branch = via.branch or ""
    if branch.startswith(BRANCH):
        return branch, via.host.lower(), str(via.port or ""), method
    cseq = cseq_of(request)
    return request.get_header("call-id") or "", tag_of(request, "from"), str(cseq.seq), _sent_by(via), method


def _sent_by(via: Via) -> str:
    return f"{via.host.lower()}:{via.port or ''};{via.branch or ''}"
