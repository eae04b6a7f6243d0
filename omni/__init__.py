"""One bot on every channel, one inbox.

`from omni import Omni, tool` is the SDK (omni.sdk). It is imported when one of its names is first asked for: the server
is in this package, too, and does without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omni.sdk import (
        Agent,
        Call,
        HistoryStore,
        JsonHistory,
        MongoHistory,
        Omni,
        OmniError,
        ReplyStream,
        RingingCall,
        Timing,
        Tool,
        ToolError,
        ToolResult,
        Turn,
        tool,
        webhooks,
    )

__all__ = [
    "Agent",
    "Call",
    "HistoryStore",
    "JsonHistory",
    "MongoHistory",
    "Omni",
    "OmniError",
    "ReplyStream",
    "RingingCall",
    "Timing",
    "Tool",
    "ToolError",
    "ToolResult",
    "Turn",
    "tool",
    "webhooks",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module("omni.sdk"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
