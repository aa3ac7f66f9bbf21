// The document that a change of some of its fields makes.

/** Fields that are undefined in `changes` stay as they are. */
export function withChanges<Document extends object>(
  document: Document,
  changes: { readonly [Key in keyof Document]?: Document[Key] | undefined },
): Document {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  return { ...document, ...Object.fromEntries(given) };
}
