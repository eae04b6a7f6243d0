"""All operations of `/agentphone`: the one list of what there is."""

from __future__ import annotations

from omni.gateway.agentphone.agents import AgentOperations
from omni.gateway.agentphone.asking import Operation
from omni.gateway.agentphone.calls import CallOperations
from omni.gateway.agentphone.contacts import ContactOperations
from omni.gateway.agentphone.conversations import ConversationOperations
from omni.gateway.agentphone.dialling import Dialler
from omni.gateway.agentphone.elsewhere import Elsewhere
from omni.gateway.agentphone.messages import MessageOperations
from omni.gateway.agentphone.number_routes import NumberOperations
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.sub_accounts import SubAccountOperations
from omni.gateway.agentphone.talks import PublicUrl, Talks
from omni.gateway.agentphone.trunks import TrunkOperations
from omni.gateway.agentphone.usage import UsageOperations
from omni.gateway.agentphone.verification import VerificationOperations
from omni.gateway.agentphone.webhooks import WebhookOperations
from omni.gateway.inbox.uploads import Uploads
from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.sending import Sending


def table(
    kit: RestKit, keeping: Agents, uploads: Uploads, numbers: Numbers, dialler: Dialler, url: PublicUrl
) -> list[Operation]:
    sending, talks = Sending(kit, keeping, uploads), Talks(kit)
    agents = AgentOperations(kit, keeping, numbers)
    messages = MessageOperations(kit, sending, numbers, talks, url)
    return [
        *agents.operations(),
        *NumberOperations(kit, agents, numbers).operations(),
        *WebhookOperations(kit, agents).operations(),
        *messages.operations(),
        *ConversationOperations(kit, agents, talks, url).operations(),
        *ContactOperations(kit).operations(),
        *CallOperations(kit, agents, numbers, talks, dialler, url).operations(),
        *UsageOperations(kit, numbers).operations(),
        *VerificationOperations(kit, sending, numbers, messages).operations(),
        *SubAccountOperations(kit, numbers).operations(),
        *TrunkOperations(kit).operations(),
        *Elsewhere(kit).operations(),
    ]
