// A place to show once its conversation is open: from the panel's earlier calls, and from search.

import { app } from "../model.js";

let wanted = null;

/** Opens the conversation at a call, or at one of its entries. */
export function jumpTo(conversation, { call, seq = null }) {
  wanted = { conversation, call, seq };
  app.go(`/c/${encodeURIComponent(conversation)}`);
  app.emit("jump");
}

export function takeJump(conversation) {
  if (wanted?.conversation !== conversation) return null;
  const found = wanted;
  wanted = null;
  return found;
}
