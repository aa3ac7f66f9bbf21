// Reading flat header lists: [name, value, name, value, …].

/** The first value of a header; `name` in lower case. */
export function headerValue(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const given = headers[index] ?? '';
    if (given.length === name.length && given.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}
