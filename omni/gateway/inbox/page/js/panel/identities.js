/** A person's identities, {kind, value}, as they are read: a number once, with its plus. */
export function identitiesOf({ identities }) {
  const phones = new Set((identities ?? []).filter(({ kind }) => kind === "phone").map(({ value }) => value));
  const own = (identities ?? []).filter(({ kind, value }) => kind !== "wa_id" || !phones.has(value));
  return own.map(({ kind, value }) => ({ kind, value: /^\d+$/.test(value) && (kind === "phone" || kind === "wa_id") ? `+${value}` : value }));
}
