"""`/agentphone`: the REST dialect of AgentPhone's clients, over the same agents, conversations and webhooks as `/v1`.

A file each resource. Keys are camelCase or snake_case as each resource documents them, and either is understood; ids
are those of `/v1`. Nothing here is a rule of its own: what is done is done by what `/v1` and the inbox do it with.
"""
