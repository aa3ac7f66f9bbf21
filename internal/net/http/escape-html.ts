// Text as HTML.

/** For text and for values of attributes, in either kind of quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);
}
