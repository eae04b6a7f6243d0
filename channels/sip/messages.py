"""SIP messages: read strictly, answered by the book. The library's parser is lenient; what it lets through and RFC 4475
calls broken is refused here, before anything is done with it."""

from __future__ import annotations

import re
from typing import Final

from aiosipua.headers import Address, CSeq, SipUri, Via, parse_address, parse_cseq, parse_uri, parse_via, stringify_via
from aiosipua.message import SipMessage, SipRequest, SipResponse

from channels.sip.words import ALLOW, REASONS

LONGEST: Final = 65_535
BRANCH: Final = "z9hG4bK"

_TOKEN: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}")
_REQUEST_LINE: Final = re.compile(r"(\S+) (\S+) (SIP/\d+\.\d+)", re.ASCII)
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: .*)?", re.ASCII)
_ONCE: Final = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type")
_QUOTED: Final = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_LARGEST_CSEQ: Final = 2**31


class BadMessage(Exception):
    """Bytes that are no SIP message, or a broken one. `request` is there when it can be refused, with `status`."""

    def __init__(self, why: str, status: int = 400, request: SipRequest | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.request = request


def read(raw: bytes, *, whole: bool = True) -> SipRequest | SipResponse:
    """Raises BadMessage. `whole`: the message came as one datagram, so a body that is shorter than it says is cut."""
    end = raw.find(b"\n")
    line = raw[: end if end >= 0 else len(raw)].rstrip(b"\r").decode("utf-8", "replace")
    try:
        message = SipMessage.parse(raw)
    except (ValueError, IndexError) as error:
        raise BadMessage(f"not a SIP message: {error}") from None
    if isinstance(message, SipResponse):
        if _STATUS_LINE.fullmatch(line) is None or _cseq(message) is None or not message.get_header("via"):
            raise BadMessage("not a response of SIP/2.0")
        return message
    why = _problem(message, line, len(_body(raw)) if whole else None)
    if why is not None:
        raise BadMessage(why[1], why[0], message if _can_answer(message) else None)
    return message


def _problem(request: SipRequest, line: str, length: int | None) -> tuple[int, str] | None:
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return 400, "the request line is not one"
    if found[3] != "SIP/2.0":
        return 505, "another version of SIP"
    if _TOKEN.fullmatch(request.method) is None:
        return 400, "the method is not one"
    headers = request.headers
    for name in ("via", "from", "to", "call-id", "cseq"):
        if not headers.get(name):
            return 400, f"there is no {name}"
    if any(len(headers.get(name)) > 1 for name in _ONCE):
        return 400, "a header is there twice"
    cseq = _cseq(request)
    if cseq is None or cseq.method != request.method:
        return 400, "the CSeq is not the request's"
    forwards = headers.get_first("max-forwards")
    if forwards is not None and not (forwards.isdigit() and int(forwards) <= 255):
        return 400, "Max-Forwards is not a number up to 255"
    declared = headers.get_first("content-length")
    if declared is not None and not declared.isdigit():
        return 400, "Content-Length is not a number"
    if declared is not None and length is not None and int(declared) > length:
        return 400, "the body is shorter than Content-Length says"
    via = top_via(request)
    if not via.host or via.transport not in ("UDP", "TCP", "TLS", "TLS-SCTP", "SCTP", "WS", "WSS"):
        return 400, "the Via is not one"
    if not all(_is_address(headers.get_first(name) or "") for name in ("from", "to")):
        return 400, "From or To is not an address"
    if request.uri.startswith("<"):
        return 400, "the request's address has angle brackets"
    scheme = request.uri.partition(":")[0].lower()
    if scheme not in ("sip", "sips", "tel"):
        return 416, "an address of another kind"
    return None


def _cseq(message: SipRequest | SipResponse) -> CSeq | None:
    raw = message.get_header("cseq") or ""
    number, _, method = raw.partition(" ")
    if not number.isascii() or not number.isdigit() or len(number) > 10 or int(number) >= _LARGEST_CSEQ:
        return None
    return CSeq(seq=int(number), method=method.strip()) if method.strip() else None


def _is_address(value: str) -> bool:
    _, plain = _unquoted(value)
    if '"' in plain or plain.count("<") != plain.count(">"):
        return False
    try:
        uri = parse_address(plain).uri
    except ValueError:
        return False
    return bool(uri.host) and not re.search(r"[\s<>\"]", uri.host)


def _unquoted(value: str) -> tuple[str | None, str]:
    """The quoted name that an address begins with, and the rest: what is in quotes looks like anything."""
    found = _QUOTED.match(value)
    return (re.sub(r"\\(.)", r"\1", found[1]), value[found.end() :]) if found is not None else (None, value)


def _can_answer(request: SipRequest) -> bool:
    headers = request.headers
    return request.method != "ACK" and all(headers.get(name) for name in ("via", "from", "to", "call-id", "cseq"))


def _body(raw: bytes) -> bytes:
    for blank in (b"\r\n\r\n", b"\n\n"):
        if blank in raw:
            return raw.partition(blank)[2]
    return b""


# what messages say


def top_via(message: SipRequest | SipResponse) -> Via:
    return parse_via(message.headers.get("via")[0])


def cseq_of(message: SipRequest | SipResponse) -> CSeq:
    return parse_cseq(message.get_header("cseq") or "0 NONE")


def address(message: SipRequest | SipResponse, name: str) -> Address:
    return address_of(message.get_header(name) or "")


def address_of(value: str) -> Address:
    name, plain = _unquoted(value)
    found = parse_address(plain)
    return found if name is None else Address(display_name=name, uri=found.uri, params=found.params)


def tag_of(message: SipRequest | SipResponse, name: str) -> str:
    return address(message, name).params.get("tag") or ""


def uri_of(text: str) -> SipUri:
    """An address, with or without angle brackets."""
    inner = text.partition("<")[2].partition(">")[0] if "<" in text else text
    return parse_uri(inner)


def contact_of(message: SipRequest | SipResponse) -> str:
    """The address in the first Contact, as it stands; empty when there is none."""
    found = message.headers.get("contact")
    if not found:
        return ""
    value = found[0]
    return value.partition("<")[2].partition(">")[0] if "<" in value else value.partition(";")[0].strip()


def has_option(message: SipRequest | SipResponse, header: str, option: str) -> bool:
    return any(option == each.strip().lower() for value in message.headers.get(header) for each in value.split(","))


def request(method: str, uri: str) -> SipRequest:
    """A new one. Its Via is first, and is filled in by whoever sends it."""
    made = SipRequest(method=method, uri=uri)
    made.headers.set_single("Via", "")
    made.headers.set_single("Max-Forwards", "70")
    return made


# answers


def response(
    request: SipRequest, status: int, reason: str = "", *, tag: str = "", headers: dict[str, str] | None = None
) -> SipResponse:
    """With what every response copies from its request (RFC 3261 section 8.2.6), and our tag."""
    made = SipResponse(status_code=status, reason_phrase=reason or REASONS.get(status, "Unknown"))
    for via in request.headers.get("via"):
        made.headers.append("Via", via)
    if 101 <= status < 300:
        for route in request.headers.get("record-route"):
            made.headers.append("Record-Route", route)
    to = request.get_header("to") or ""
    if tag and not tag_of(request, "to"):
        to = f"{to};tag={tag}"
    made.headers.set_single("From", request.get_header("from") or "")
    made.headers.set_single("To", to)
    made.headers.set_single("Call-ID", request.get_header("call-id") or "")
    made.headers.set_single("CSeq", request.get_header("cseq") or "")
    if status == 405:
        made.headers.set_single("Allow", ALLOW)
    for name, value in (headers or {}).items():
        made.headers.set_single(name, value)
    return made


def stamp(request: SipRequest, ip: str, port: int) -> None:
    """Note in the top Via where it really came from (RFC 3261 section 18.2.1, RFC 3581)."""
    vias = list(request.headers.get("via"))
    via = parse_via(vias[0])
    wants_port = "rport" in via.params
    if via.host.strip("[]") != ip or wants_port:
        via.params["received"] = ip
    if wants_port:
        via.params["rport"] = str(port)
    set_top_via(request, via)


def set_top_via(message: SipRequest, via: Via) -> None:
    rest = list(message.headers.get("via"))[1:]
    message.headers.remove("Via")
    for value in [stringify_via(via), *rest]:
        message.headers.append("Via", value)
