// Text of others as it may be shown on a terminal: control characters move the cursor, clear the screen or forge lines, and
// marks of writing direction make a name look like another.

const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** `text` with such characters as `\u001b`; tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(unprintable, escaped);
}

/** The same for what belongs on one line: tabs and newlines are shown too. */
export function printableLine(text: string): string {
  return printable(text).replace(/[\t\n]/g, escaped);
}

/** Whether `printableLine` would change the text. */
export function isPrintableLine(text: string): boolean {
  return printableLine(text) === text;
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}
