// What is wrong with a text that is no YAML or JSON, in words for its writer: the parser speaks of its grammar.

import type { YAMLParseError } from 'yaml';

/** What is wrong, and what would be right ('' where that is plain). */
export interface SyntaxFault {
  readonly text: string;
  readonly remedy: string;
}

export const duplicateKey: SyntaxFault = { text: 'this key is there twice', remedy: 'Keys of one map must be unique.' };

const faults: Readonly<Record<string, SyntaxFault>> = {
  BAD_DQ_ESCAPE: { text: 'a backslash in double quotes', remedy: 'Double it, or use single quotes.' },
  BAD_INDENT: { text: 'this line is not indented as those around it', remedy: 'Keys of one map begin in one column.' },
  BAD_SCALAR_START: { text: 'a value cannot begin with this character', remedy: 'Put the value in quotes.' },
  BLOCK_AS_IMPLICIT_KEY: {
    text: 'a second "key: value" where a value is expected',
    remedy: 'Put a value that holds ": " in quotes; keys of one map begin in one column.',
  },
  MISSING_CHAR: {
    text: 'a quote or bracket is not closed, or a "- " is missing',
    remedy: 'Keys of one map begin in one column.',
  },
  MULTILINE_IMPLICIT_KEY: { text: 'a key without ":" behind it', remedy: 'Write "key: value".' },
  TAB_AS_INDENT: { text: 'a tab as indentation', remedy: 'Use spaces.' },
  UNEXPECTED_TOKEN: { text: 'something that does not belong here', remedy: '' },
};

/** The parser's own words where nothing better is known. */
export function describeSyntaxError({ code, message }: YAMLParseError): SyntaxFault {
  return faults[code] ?? { text: message, remedy: '' };
}

/** An alias (`*name`) without its anchor (`&name`), mostly a wildcard that its writer did not put in quotes. */
export function missingAnchor(name: string): SyntaxFault {
  return { text: `there is no anchor &${name}`, remedy: `Put a text that begins with * in quotes: "*${name}".` };
}
