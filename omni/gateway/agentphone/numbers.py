"""Phone numbers: those that agents have channels on, and those that were taken from the operator's inventory.

A number is one or more channels (texts, calls, WhatsApp) with one E.164 number. What only this dialect knows of it (a
tag, when it expires, its card, and its channels while no agent has it) is a record that is kept as a lease: taking one
is the claim that only one organisation can make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from omni.gateway.agentphone.countries import area_of, country_of
from omni.gateway.agentphone.errors import Refusal, missing, wrong
from omni.gateway.agentphone.number_shapes import Number, Record, by_number
from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.kit import RestKit
from omni.model.access import Lease
from omni.model.agent import Agent
from omni.model.channel import REVEAL, Channel

TAKEN: Final = "number:"
"""Names of leases: who has a number, and what they noted of it."""
RELEASED: Final = "released-number:"
_FOR_GOOD: Final = 100 * 365 * 86_400.0


class Numbers:
    """`inventory` are channels that the operator offers to whoever asks for a number."""

    def __init__(self, kit: RestKit, agents: Agents, inventory: Sequence[Channel]) -> None:
        self._kit = kit
        self._agents = agents
        self._inventory = by_number(inventory)

    # looking

    async def all(self, org: str, *, with_released: bool = False) -> list[Number]:
        """Newest first. Raises StoreError."""
        store, now = self._kit.store, self._kit.clock()
        records = {
            record.number: record
            for lease in await store.leases(TAKEN, now=now)
            if (record := Record.model_validate(lease.data)).org == org
        }
        found: dict[str, Number] = {}
        for agent in await store.agents(org):
            for number, channels in by_number(agent.channels).items():
                if number in found and "sms" in found[number].kinds:
                    continue  # two agents share it by its channels: it counts as the one's that texts
                known = records.get(number)
                at = known.created_at if known is not None else agent.created_at
                found[number] = Number(number, org, "active", at, channels, agent.slug, known)
        for number, record in records.items():
            if number not in found:
                found[number] = Number(number, org, "active", record.created_at, record.channels, None, record)
        if with_released:
            for lease in await store.leases(f"{RELEASED}{org}:", now=now):
                gone = Record.model_validate(lease.data)
                if gone.org != org:
                    continue  # its name only begins so
                found.setdefault(gone.number, Number(gone.number, org, "released", gone.created_at, record=gone))
        return sorted(found.values(), key=lambda each: (-each.created_at, each.number))

    async def get(self, org: str, id_: str) -> Number:
        """Released ones too. Raises Refusal 404."""
        found = next((each for each in await self.all(org, with_released=True) if each.id == id_), None)
        if found is None:
            raise missing(f"there is no number {id_[:80]!r}; GET /v1/numbers lists them", code="PHONE_NUMBER_NOT_FOUND")
        return found

    async def of_agent(self, org: str, slug: str) -> list[Number]:
        return [each for each in await self.all(org) if each.agent == slug]

    async def free(self) -> list[str]:
        """Numbers of the inventory that nobody has, in its order."""
        store = self._kit.store
        taken = {number for agent in await store.agents() for number in by_number(agent.channels)} | {
            lease.name.removeprefix(TAKEN) for lease in await store.leases(TAKEN, now=self._kit.clock())
        }
        return [number for number in self._inventory if number not in taken]

    # changing

    async def buy(
        self, org: str, country: str | None, area: str | None, agent: Agent | None, **noted: object
    ) -> Number:
        """The first free one that fits. Raises Refusal 409."""
        for number in await self.free():
            if country not in (None, country_of(number)) or area not in (None, area_of(number)):
                continue
            now = self._kit.clock()
            record = Record.model_validate(
                {
                    "number": number,
                    "org": org,
                    "claim": self._kit.new_id("claim"),
                    "created_at": now,
                    "channels": self._inventory[number],
                    **noted,
                }
            )
            if not await self._keep(record):
                continue  # somebody else was quicker
            for lease in await self._kit.store.leases(f"{RELEASED}{org}:{number}", now=now):
                await self._kit.store.drop_lease(lease.name, lease.holder)
            bought = Number(number, org, "active", now, record.channels, None, record)
            return bought if agent is None else await self.attach(bought, agent)
        where = f" in {country}" if country else ""
        raise Refusal(
            409,
            f"no number is left{where}; the operator adds some under `inventory`, or an SMS channel of their own",
            code="VALIDATION_ERROR_NUMBER_LIMIT",
        )

    async def note(self, number: Number, **noted: object) -> Number:
        """Write down what only this dialect knows of it."""
        record = (number.record or self._record(number)).model_copy(update=noted)
        if not await self._keep(record):
            raise Refusal(409, f"the number {number.number} changes at the same moment; try again")
        return replace(number, record=record, created_at=record.created_at)

    async def attach(self, number: Number, agent: Agent) -> Number:
        if number.status == "released":
            raise wrong(f"the number {number.id} was released; buy one", "numberId")
        had = {channel.id for channel in number.channels}
        rest = tuple(channel for channel in agent.channels if channel.id not in had)
        after = agent.model_copy(update={"channels": (*rest, *number.channels)})
        await self._agents.save(after, before=agent)
        if number.record is not None and number.record.channels:
            number = await self.note(number, channels=())
        return replace(number, agent=agent.slug)

    async def detach(self, number: Number) -> Number:
        """Without an agent nobody hears what comes in for it. Its channels' settings are kept for the next one."""
        number = await self.note(number, channels=number.channels)
        await self._take_from_agent(number)
        return replace(number, agent=None)

    async def release(self, number: Number) -> None:
        """Raises Refusal 400 for one that is released already."""
        if number.status == "released":
            raise wrong(f"the number {number.number} was released already", "number_id")
        record = number.record or self._record(number)
        await self._take_from_agent(number)
        name, now = f"{RELEASED}{number.org}:{number.number}", self._kit.clock()
        gone = record.model_copy(update={"channels": ()})
        await self._kit.store.take_lease(_lease(name, gone, now), now=now, over=None)
        await self._kit.store.drop_lease(f"{TAKEN}{number.number}", record.claim)

    async def release_expired(self) -> int:
        """Returns how many there were."""
        store, now = self._kit.store, self._kit.clock()
        released = 0
        for lease in await store.leases(TAKEN, now=now):
            record = Record.model_validate(lease.data)
            if record.expires_at is not None and record.expires_at <= now:
                number = next((one for one in await self.all(record.org) if one.number == record.number), None)
                if number is not None:
                    await self.release(number)
                    released += 1
        return released

    async def _take_from_agent(self, number: Number) -> None:
        agent = await self._kit.store.agent(number.org, number.agent) if number.agent is not None else None
        if agent is not None:
            gone = {channel.id for channel in number.channels}
            rest = tuple(channel for channel in agent.channels if channel.id not in gone)
            await self._agents.save(agent.model_copy(update={"channels": rest}), before=agent)

    def _record(self, number: Number) -> Record:
        return Record(
            number=number.number, org=number.org, claim=self._kit.new_id("claim"), created_at=number.created_at
        )

    async def _keep(self, record: Record) -> bool:
        now = self._kit.clock()
        wanted = _lease(f"{TAKEN}{record.number}", record, now)
        return (await self._kit.store.take_lease(wanted, now=now)).holder == record.claim


def _lease(name: str, record: Record, now: float) -> Lease:
    kept = record.model_dump(mode="json", context=REVEAL)
    return Lease(name=name, holder=record.claim, until=now + _FOR_GOOD, data=kept)
