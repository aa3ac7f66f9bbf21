// What is wrong in a configuration document: every issue at once, each with its place and what would be right.
// The core texts of the issues are those of docs/protocol/ingress-and-origin.md §6, which users search for.

import { PosternError } from '../errors/error.ts';

/** A place in a text. Lines and columns count from 1. */
export interface TextLocation {
  /** File path, or undefined for a document that is not a file (a pushed configuration, a flag). */
  readonly file: string | undefined;
  readonly line: number;
  readonly column: number;
}

/** Keys and indexes from the document's root: `['ingress', 2, 'service']`. */
export type DocumentPath = readonly (string | number)[];

/** One problem of a document. */
export interface ConfigIssue {
  readonly path: DocumentPath;
  readonly location: TextLocation | undefined;
  /** What is wrong. */
  readonly text: string;
  /** What would be right; a sentence, or '' where the text says it already. */
  readonly remedy: string;
}

/** 'config.invalid' with all issues of one document. The message holds one line an issue. */
export class ConfigError extends PosternError {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[], options?: { cause?: unknown }) {
    super('config.invalid', issues.map(formatIssue).join('\n'), options);
    this.issues = issues;
  }
}

/**
 * One line: `FILE:LINE:COLUMN: TEXT. REMEDY` for files, so that editors and terminals find the place;
 * `TEXT. REMEDY (at ingress[2].service)` for documents without a file, so that the text leads, as peers expect it.
 */
export function formatIssue(issue: ConfigIssue): string {
  const sentence = issue.remedy === '' ? issue.text : `${issue.text.replace(/\.$/, '')}. ${issue.remedy}`;
  const file = issue.location?.file;
  if (issue.location !== undefined && file !== undefined)
    return `${file}:${issue.location.line}:${issue.location.column}: ${sentence}`;
  return issue.path.length === 0 ? sentence : `${sentence} (at ${formatPath(issue.path)})`;
}

/** `ingress[2].originRequest.caPool`. */
export function formatPath(path: DocumentPath): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('');
}
