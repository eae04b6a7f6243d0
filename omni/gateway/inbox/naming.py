"""A conversation's id in URLs (see `omni.model.conversations`)."""

from omni.model.conversations import conversation_id, conversation_of, party_of

__all__ = ["conversation_id", "conversation_of", "party_of"]
