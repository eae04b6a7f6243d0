"""Every metric of omni, in one place. Labels never hold anything about a person."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

WEBHOOK_SECONDS = Histogram(
    "omni_webhook_seconds", "From the last byte of a webhook to its answer", ["channel", "status"], buckets=_FAST
)
WEBHOOK_ITEMS = Counter(
    "omni_webhook_items_total", "Items of webhooks by what became of them", ["channel", "kind", "outcome"]
)
DUPLICATES = Counter("omni_duplicate_inputs_total", "Inputs that had acted before", ["channel"])
INPUT_AGE_SECONDS = Histogram("omni_input_age_seconds", "From taking an input to acting on it", ["type"], buckets=_SLOW)
TURN_SECONDS = Histogram(
    "omni_turn_seconds", "From the newest user message of a turn to its reply on the bus", ["brain"], buckets=_SLOW
)
TURNS = Counter("omni_turns_total", "Turns by how they ended", ["brain", "outcome"])
BRAIN_ERRORS = Counter("omni_brain_errors_total", "Failed attempts to get an answer", ["brain", "reason"])
TOOL_SECONDS = Histogram("omni_tool_seconds", "Tool calls", ["outcome"], buckets=_SLOW)
HANDOVERS = Counter("omni_handovers_total", "Conversations handed to a person", ["by"])
DELIVERIES = Counter("omni_deliveries_total", "Deliveries by outcome", ["channel", "origin", "outcome"])
DELIVERY_SECONDS = Histogram(
    "omni_delivery_seconds", "From asking for a delivery to the provider's acceptance", ["channel"], buckets=_SLOW
)
PROVIDER_SECONDS = Histogram(
    "omni_provider_seconds", "Requests to a channel's provider", ["channel", "outcome"], buckets=_SLOW
)
EVENT_DELIVERIES = Counter("omni_event_attempts_total", "Attempts to tell webhooks of events", ["outcome"])
UNCLEAR_SENDS = Counter("omni_unclear_sends_total", "Sends whose outcome the provider never told", ["channel"])
STATUSES = Counter("omni_statuses_total", "Provider statuses by what became of them", ["channel", "outcome"])
MEDIA = Counter("omni_media_total", "Media fetched by outcome", ["kind", "outcome"])
ENGINE_UP = Gauge("omni_engine_up", "Whether the engine answers this process", ["engine"])
QUEUE_READY = Gauge("omni_queue_ready", "Messages that wait", ["queue"])
QUEUE_TAKEN = Gauge("omni_queue_taken", "Messages in consumers' hands", ["queue"])
QUEUE_AGE_SECONDS = Gauge("omni_queue_age_seconds", "Age of the oldest message that waits", ["queue"])
DEAD_LETTERS = Counter("omni_dead_letters_total", "Messages given up", ["queue"])
OPEN_ACTORS = Gauge("omni_open_actors", "Calls held in memory by this process")
LOOP_LAG_SECONDS = Gauge("omni_loop_lag_seconds", "How late the event loop was at its last look")
VOICE_RESPONSE_SECONDS = Histogram(
    "omni_voice_response_seconds",
    "From the end of a caller's voice to the first sound of the answer",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
)
VOICE_CALLS = Gauge("omni_voice_calls", "Calls with sound in this process")
VOICE_CALLS_MOST = Gauge("omni_voice_calls_most", "Calls with sound that this process takes")
VOICE_REFUSED = Counter("omni_voice_refused_total", "Calls with sound that were not taken", ["reason"])
PLAYOUT_LATE_SECONDS = Histogram(
    "omni_playout_late_seconds",
    "How late the ticks were that send sound",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1),
)
PLAYOUT_SKIPS = Counter("omni_playout_skips_total", "Times that sending sound was so late that ticks were left out")
PLAYOUT_FAILURES = Counter("omni_playout_failures_total", "Ticks of a call that raised")
