"""The platform's errors: codes, HTTP statuses and both body shapes.

Source: WhatsApp Cloud API, error codes reference; Graph API, error handling.
"""

from __future__ import annotations

from dataclasses import dataclass

from channels.whatsapp.simulator.ids import Json

HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


@dataclass(frozen=True, slots=True)
class KnownError:
    """One documented code: its usual HTTP status, title and details."""

    http: int
    title: str
    details: str = ""
    transient: bool = False


KNOWN: dict[int, KnownError] = {
    1: KnownError(500, "An unknown error occurred", transient=True),
    2: KnownError(503, "Service temporarily unavailable", "The service is overloaded or down.", transient=True),
    3: KnownError(400, "Capability or permissions issue"),
    4: KnownError(400, "Application request limit reached", "The app has made too many calls."),
    10: KnownError(403, "Application does not have permission for this action"),
    100: KnownError(400, "Invalid parameter"),
    104: KnownError(400, "API calls from the server require an appsecret_proof argument"),
    190: KnownError(401, "Error validating access token: the session has been invalidated"),
    200: KnownError(403, "Permissions error"),
    368: KnownError(403, "Temporarily blocked for policies violations"),
    80007: KnownError(400, "Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
    130403: KnownError(400, "User is blocked by the business"),
    130429: KnownError(429, "Rate limit hit", "Cloud API message throughput has been reached."),
    130472: KnownError(400, "User's number is part of an experiment"),
    130497: KnownError(403, "Business account is restricted from messaging users in this country."),
    131000: KnownError(500, "Something went wrong", "Message failed to send due to an unknown error."),
    131005: KnownError(403, "Access denied"),
    131008: KnownError(400, "Required parameter is missing"),
    131009: KnownError(400, "Parameter value is not valid"),
    131016: KnownError(500, "Service unavailable", "A service is temporarily unavailable."),
    131021: KnownError(400, "Recipient cannot be sender", "Sender and recipient phone number is the same."),
    131026: KnownError(400, "Message undeliverable", "Message Undeliverable."),
    131030: KnownError(400, "Recipient phone number not in allowed list"),
    131031: KnownError(403, "Account has been locked"),
    131037: KnownError(400, "WhatsApp provided number needs display name approval before message can be sent."),
    131042: KnownError(400, "Business eligibility payment issue"),
    131045: KnownError(500, "Incorrect certificate", "The number's registration is not valid."),
    131047: KnownError(
        400,
        "Re-engagement message",
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
    ),
    131048: KnownError(400, "Spam rate limit hit"),
    131049: KnownError(
        400, "This message was not delivered to maintain healthy ecosystem engagement.", "Ecosystem cap reached."
    ),
    131050: KnownError(400, "User has stopped marketing messages from this business"),
    131051: KnownError(400, "Unsupported message type"),
    131052: KnownError(400, "Media download error"),
    131053: KnownError(400, "Media upload error", "Unable to use the media of this message."),
    131056: KnownError(
        400,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Message failed to send because there were too many messages sent from this phone number to the same phone "
        "number in a short period of time.",
    ),
    131057: KnownError(500, "Account in maintenance mode"),
    131062: KnownError(400, "Business-scoped user id recipients are not supported for this message"),
    132000: KnownError(400, "Number of parameters does not match the expected number of params"),
    132001: KnownError(404, "Template name does not exist in the translation"),
    132012: KnownError(400, "Parameter format does not match format in the created template"),
    132015: KnownError(400, "Template is paused"),
    132016: KnownError(400, "Template is disabled"),
    133010: KnownError(400, "Account not registered"),
    138000: KnownError(400, "Calling not enabled"),
    138001: KnownError(400, "Receiver uncallable"),
    138003: KnownError(400, "Duplicate call"),
    138006: KnownError(401, "No approved call permission", "Send a call permission request first."),
    138009: KnownError(400, "Call permission request limit hit"),
    138012: KnownError(400, "Business-initiated calls limit hit"),
    138013: KnownError(400, "Business-initiated calling is not available"),
    138017: KnownError(400, "Permanent call permission exists"),
    138021: KnownError(400, "Client received no media"),
    137000: KnownError(400, "Recipient identity key hash mismatch"),
}


class GraphError(Exception):
    """A refusal of the Graph side, in the terms of the platform."""

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        message: str = "",
        http: int | None = None,
        subcode: int | None = None,
        kind: str = "OAuthException",
        headers: dict[str, str] | None = None,
    ) -> None:
        known = KNOWN.get(code) or KnownError(500 if code < 4 else 400, "Unknown error")
        self.code = code
        self.title = known.title
        self.message = message or f"(#{code}) {known.title}"
        self.details = details or known.details
        self.http = http or known.http
        self.subcode = subcode
        self.kind = kind
        self.transient = known.transient
        self.headers = headers or {}
        super().__init__(self.message)

    def body(self, trace: str) -> Json:
        """The body of a synchronous answer."""
        error: Json = {"message": self.message, "type": self.kind, "code": self.code}
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.transient:
            error["is_transient"] = True
        error["fbtrace_id"] = trace
        return {"error": error}

    def report(self) -> Json:
        """The same error inside a webhook (``statuses[].errors[]``)."""
        report: Json = {"code": self.code, "title": self.title, "message": self.title, "href": HREF}
        if self.details:
            report["error_data"] = {"details": self.details}
        return report


def invalid(message: str) -> GraphError:
    """Code 100 with the platform's own sentence."""
    return GraphError(100, message=f"(#100) {message}")


def missing(name: str) -> GraphError:
    """Code 131008: a required parameter is absent."""
    return GraphError(131008, f"Parameter '{name}' is mandatory for this type of message.")


def bad_value(details: str) -> GraphError:
    """Code 131009: a parameter has a value that the platform refuses."""
    return GraphError(131009, details)


def no_such_object(identifier: str, verb: str) -> GraphError:
    """Code 100, subcode 33: the id is unknown or not visible to this token."""
    return GraphError(
        100,
        message=f"Unsupported {verb} request. Object with ID '{identifier}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation.",
        subcode=33,
        kind="GraphMethodException",
    )
