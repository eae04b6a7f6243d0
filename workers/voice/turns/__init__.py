"""Who has the turn: what is heard, and what the bot must do about it. Pure.

`step` is the machine, `Talk` what it remembers, `Policy` how patient it is; `words` has what happens and what is to be
done.
"""

from workers.voice.turns.machine import step
from workers.voice.turns.state import Policy, Talk

__all__ = ["Policy", "Talk", "step"]
