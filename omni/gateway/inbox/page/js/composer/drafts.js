// What was typed and not sent, a conversation at a time, in this browser.

const PREFIX = "omni.inbox.draft.";

/** {mode: "reply"|"note", reply, note, quote} */
export function draftOf(conversation) {
  const empty = { mode: "reply", reply: "", note: "", quote: null };
  try {
    return { ...empty, ...JSON.parse(localStorage.getItem(PREFIX + conversation) ?? "{}") };
  } catch {
    return empty;
  }
}

export function keepDraft(conversation, draft) {
  const isEmpty = !draft.reply && !draft.note && !draft.quote && draft.mode === "reply";
  try {
    if (isEmpty) localStorage.removeItem(PREFIX + conversation);
    else localStorage.setItem(PREFIX + conversation, JSON.stringify(draft));
  } catch {
    // Storage is closed or full: the box itself still has it.
  }
}
