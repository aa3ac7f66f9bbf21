// An operator's own page for failed requests: an HTML file with placeholders such as `{{status}}`, each replaced by escaped
// text.

import { describeError, PosternError } from '../errors/error.ts';
import { readText, unreadableReason } from '../net/file/read-text.ts';
import { escapeHtml } from '../net/http/escape-html.ts';
import type { ErrorPage, ProblemFacts } from './problem.ts';

/** Every failed request of a browser is answered with as many bytes. */
export const maxTemplateBytes = 256 * 1024;

/** What may stand between `{{` and `}}`. */
const placeholders = new Map<string, (facts: ProblemFacts) => string>([
  ['status', facts => String(facts.status)],
  ['title', facts => facts.title],
  ['message', facts => facts.text],
  ['remedy', facts => facts.remedy],
  ['code', facts => facts.kind],
  ['hop', facts => facts.hop],
  ['host', facts => facts.host],
  ['requestId', facts => facts.requestId],
]);

/** Reads the page at `path`. Throws 'config.invalid' when it cannot be read, is too large, or has a placeholder that is none. */
export async function readErrorTemplate(path: string): Promise<ErrorPage> {
  let text: string;
  try {
    text = await readText(path, maxTemplateBytes);
  } catch (cause) {
    throw new PosternError('config.invalid', `The error page ${path} cannot be read: ${unreadableReason(cause)}`, {
      cause,
    });
  }
  try {
    return createErrorTemplate(text);
  } catch (error) {
    throw new PosternError('config.invalid', `The error page ${path} cannot be used: ${describeError(error)}`);
  }
}

/** Throws 'config.invalid' for a placeholder that is none. */
export function createErrorTemplate(text: string): ErrorPage {
  // Names stand at odd places.
  const parts = text.split(/\{\{\s*([A-Za-z]+)\s*\}\}/);
  const unknown = parts.find((part, at) => at % 2 === 1 && !placeholders.has(part));
  if (unknown !== undefined)
    throw new PosternError(
      'config.invalid',
      `There is no placeholder {{${unknown}}}; there are ${[...placeholders.keys()].join(', ')}.`,
    );
  return {
    headers: [],
    render: facts =>
      parts.map((part, at) => (at % 2 === 0 ? part : escapeHtml(placeholders.get(part)?.(facts) ?? ''))).join(''),
  };
}
