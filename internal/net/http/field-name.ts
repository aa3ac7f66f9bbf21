// What may be the name of a header field, and a method. Source: RFC 9110 §5.6.2.

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether a text is a token. */
export function isToken(text: string): boolean {
  return token.test(text);
}
