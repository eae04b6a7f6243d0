"""`decide`: what an input makes a call do. Pure: time, ids and the agent's settings come in as arguments.

Which rule a happening belongs to stands here; the rules are in `sessions.rules`.
"""

from __future__ import annotations

from omni.model.contact import Contact
from omni.model.entry import ContactChanged, Custom, DeliveryLost, HumanWhispered, MediaStored, UserReacted
from omni.model.inbound import (
    CallOffered,
    CallProgress,
    CallSignal,
    ColleagueMessage,
    Configure,
    DeliveryFailed,
    Dial,
    EditHistory,
    EndCall,
    ForgetPerson,
    Forward,
    GoneElsewhere,
    Hold,
    Hush,
    IdentityChanged,
    MediaReady,
    MergePeople,
    Mute,
    OfferedAgain,
    Pause,
    PauseAgent,
    PausePerson,
    PersonArrived,
    PersonNotice,
    PersonWrote,
    PressKeys,
    ProgramArrived,
    ProgramReply,
    ProgramStream,
    Resume,
    SeatOffered,
    SendMessage,
    SetContext,
    TakeCall,
    ToolResults,
    TurnReady,
    TypeWords,
    UserEdit,
    UserMessage,
    UserReaction,
    UserRevoke,
    Wake,
    Whisper,
    WriteTo,
)
from sessions.rules.answers import answer, tool
from sessions.rules.aside import bot_writes, wrote_aside
from sessions.rules.ending import end, wake
from sessions.rules.memory import configure, edit_history, set_context
from sessions.rules.program import along, arrived, keep_offering, offer, reply
from sessions.rules.spoken import answered, asked_to_end, heard, interrupted, moved_on, over, went_on, witnessed
from sessions.rules.takeover import colleague, handed_back, human_writes, is_anothers, taken_over
from sessions.rules.turns import begin, forgo, held_back
from sessions.rules.user import edited, hear, revoked
from sessions.state import CallState
from sessions.steps import (
    Around,
    CallAnswered,
    CallCame,
    CallOver,
    Happening,
    LiveTurn,
    Perform,
    Signalled,
    SpokenTurn,
    Step,
    Tick,
    ToolBegan,
    ToolFinished,
    TurnCut,
    TurnDone,
    TurnSaid,
    WentOn,
    Witnessed,
)

_ONE_CALL = (
    MediaReady
    | DeliveryFailed
    | Whisper
    | EndCall
    | GoneElsewhere
    | ProgramReply
    | ProgramStream
    | Hush
    | Hold
    | Mute
    | TypeWords
    | PressKeys
    | Forward
    | TakeCall
    | CallProgress
    | PersonWrote
    | EditHistory
    | SetContext
    | Configure
    | ToolResults
    | TurnReady
)
"""Inputs that mean the very call they name, and not the next one of the same conversation."""


def decide(state: CallState, turn: LiveTurn | None, happening: Happening, around: Around) -> Step:
    """What `happening` makes of the call. Pure: the same arguments give the same step."""
    if not state.is_open:
        return Step(turn=None)
    if isinstance(happening, _ONE_CALL) and happening.call != state.id:
        return Step(turn=turn)  # it speaks of an earlier call of this conversation, whose log is sealed
    match happening:
        case UserMessage():
            return hear(state, turn, happening, around)
        case Tick():
            return _tick(state, turn, around)
        case TurnSaid() | TurnDone():
            return answer(state, turn, happening, around)
        case ToolBegan() | ToolFinished():
            return tool(state, turn, happening, around)
        case Pause():
            return taken_over(state, turn, happening.by, steals=happening.steals)
        case Resume():
            return handed_back(state, turn, happening)
        case WriteTo(is_bots=True):
            return bot_writes(state, turn, happening, around)
        case SendMessage() | WriteTo():
            return human_writes(state, turn, happening, around)
        case Whisper():
            return Step((HumanWhispered(text=happening.text, by=happening.by),), (), turn)
        case ColleagueMessage():
            return colleague(state, turn, happening, around)
        case UserReaction():
            return Step((UserReacted(target=happening.target, emoji=happening.emoji, at=happening.sent_at),), (), turn)
        case UserEdit():
            return edited(state, turn, happening)
        case UserRevoke():
            return revoked(state, turn, happening, around)
        case MediaReady():
            return Step((MediaStored(id=happening.message_id, part=happening.part, media=happening.media),), (), turn)
        case DeliveryFailed():
            return Step((_lost(happening),), (), turn)
        case IdentityChanged():
            return Step((_renamed(around.contact, happening.why),), (), turn)
        case PersonNotice():
            return _noticed(state, turn, happening, around)
        case PausePerson() | PauseAgent():
            return forgo(state, turn, "the bot was paused") if happening.paused else Step(turn=turn)
        case EndCall() if state.has_sound:
            return asked_to_end(state, turn, happening)
        case EndCall():
            is_heard = happening.heard is None or state.user_messages <= happening.heard
            if is_anothers(state, happening.by, happening.steals) or not is_heard:
                return Step(turn=turn)
            return end(state, turn, happening.reason, around.now)
        case GoneElsewhere() if state.has_sound:
            return moved_on(state, turn, happening)
        case GoneElsewhere():
            ended = end(state, turn, "merged", around.now)
            moved = ContactChanged(contact=happening.contact, identities=happening.identities, why="merged")
            return Step((moved, *ended.facts), ended.effects, None)
        case Wake():
            return wake(state, turn, around)
        case ProgramReply():
            return reply(state, turn, happening, around)
        case ProgramStream():
            return along(state, turn, happening, around)
        case Hush() | Hold() | Mute() | TypeWords() | PressKeys() | Forward() | TakeCall() | CallProgress():
            return Step((), (Perform(happening),) if state.has_sound else (), turn)
        case PersonWrote():
            return wrote_aside(state, turn, happening) if state.has_sound else Step(turn=turn)
        case SpokenTurn():
            return heard(state, turn, happening, around)
        case WentOn():
            return went_on(turn, happening)
        case TurnCut():
            return interrupted(turn, happening)
        case Witnessed():
            return witnessed(state, turn, happening)
        case CallAnswered():
            return answered(state, turn, happening, around)
        case CallOver():
            return over(state, turn, happening, around)
        case EditHistory():
            return edit_history(turn, happening)
        case SetContext():
            return set_context(state, turn, happening)
        case Configure():
            return configure(turn, happening, around)
        case ProgramArrived():
            return arrived(turn, around)
        case PersonArrived() | ToolResults() | TurnReady() | MergePeople() | ForgetPerson():
            return Step(turn=turn)  # what tools and readiness bring is for the brain at work; people are no call's
        case CallCame() | CallOffered() | CallSignal() | OfferedAgain() | SeatOffered() | Dial() | Signalled():
            return Step(turn=turn)  # it is here already; signals are told, and nothing else


def _tick(state: CallState, turn: LiveTurn | None, around: Around) -> Step:
    """A turn that is due: it begins when the user has paused long enough and the files are there (or have kept us long
    enough); one that was offered to a program is looked after."""
    if turn is None or turn.phase == "generating" or turn.due > around.now:
        return Step(turn=turn)
    if turn.phase == "offered":
        return keep_offering(state, turn, around)
    held = held_back(state, turn, around)
    if held is not None:
        return held
    return offer(state, turn, around) if around.agent.brain == "client" else begin(state, turn, around)


def _noticed(state: CallState, turn: LiveTurn | None, notice: PersonNotice, around: Around) -> Step:
    """A fact about the person. Of one who wants to hear nothing more, an answer at work is cut and not given later."""
    fact = Custom(name=notice.name, value=notice.value, user_at=notice.sent_at if notice.opens_window else None)
    if not around.contact.has_stopped(state.transport):
        return Step((fact,), (), turn)
    silenced = forgo(state, turn, "the user opted out")
    return Step((fact, *silenced.facts), silenced.effects, None)


def _lost(failed: DeliveryFailed) -> DeliveryLost:
    return DeliveryLost(
        delivery=failed.delivery,
        code=failed.code,
        reason=failed.reason,
        provider_code=failed.provider_code,
        asked_at=failed.asked_at,
    )


def _renamed(contact: Contact, why: str) -> ContactChanged:
    return ContactChanged(contact=contact.id, identities=contact.identities, why=why)
