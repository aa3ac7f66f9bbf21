// Words of a POSIX shell, for scripts that are written and commands that are shown. Source: POSIX.1-2024, Shell Command Language,
// §2.2.

/** The text as one word of a shell, quoted where that is needed. */
export function shellWord(text: string): string {
  return /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
