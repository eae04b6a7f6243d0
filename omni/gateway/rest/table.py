"""All of `/v1`: the one list of what there is."""

from __future__ import annotations

from omni.gateway.inbox.uploads import Uploads
from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.agents.routes import AgentRoutes
from omni.gateway.rest.calls.routes import CallRoutes
from omni.gateway.rest.channels.routes import ChannelRoutes
from omni.gateway.rest.conversations.routes import ConversationRoutes
from omni.gateway.rest.keys import KeyRoutes
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.routes import MessageRoutes
from omni.gateway.rest.messages.sending import Sending
from omni.gateway.rest.people.routes import ContactRoutes
from omni.gateway.rest.routing import Route
from omni.gateway.rest.tokens import TokenRoutes
from omni.gateway.rest.trunks.keeping import Trunks
from omni.gateway.rest.trunks.routes import TrunkRoutes
from omni.gateway.rest.voices import VoiceRoutes
from omni.gateway.rest.webhooks.routes import WebhookRoutes
from omni.gateway.tokens import TokenMint


def table(kit: RestKit, uploads: Uploads, mint: TokenMint, *, allow_private: bool) -> list[Route]:
    agents = Agents(kit, allow_private=allow_private)
    sending = Sending(kit, agents, uploads)
    return [
        *AgentRoutes(kit, agents).routes(),
        *ChannelRoutes(kit, agents).routes(),
        *CallRoutes(kit, agents, sending).routes(),
        *ConversationRoutes(kit).routes(),
        *MessageRoutes(kit, sending).routes(),
        *ContactRoutes(kit).routes(),
        *WebhookRoutes(kit, agents).routes(),
        *TrunkRoutes(Trunks(kit)).routes(),
        *VoiceRoutes(kit.voices).routes(),
        *TokenRoutes(kit, mint).routes(),
        *KeyRoutes(kit).routes(),
    ]
