// Collects everything that is wrong or odd in one document while it is parsed, with places. Used by the parsers of
// this room; ends in a ConfigError or in warnings.

import type * as z from 'zod';
import { ConfigError, type ConfigIssue, type DocumentPath, formatIssue } from './config-error.ts';
import type { Dialect, DocumentReader } from './document-reader.ts';

export class IssueCollector {
  readonly issues: ConfigIssue[] = [];
  readonly warnings: ConfigIssue[] = [];
  readonly #reader: DocumentReader;

  constructor(reader: DocumentReader) {
    this.#reader = reader;
  }

  get dialect(): Dialect {
    return this.#reader.dialect;
  }

  /** One of the same document whose issues nobody hears of: for values that have been checked. */
  silent(): IssueCollector {
    return new IssueCollector(this.#reader);
  }

  error(path: DocumentPath, text: string, remedy: string): void {
    this.issues.push({ path, location: this.#reader.locate(path), text, remedy });
  }

  warn(path: DocumentPath, text: string, remedy: string): void {
    this.warnings.push({ path, location: this.#reader.locate(path), text, remedy });
  }

  /**
   * Parses each field of an object type for itself, so that one bad field hides no other. Returns the good ones, and the
   * names of the bad ones, whose issues are recorded.
   */
  fields<Shape extends z.ZodRawShape>(
    type: z.ZodObject<Shape>,
    value: unknown,
    path: DocumentPath,
  ): { fields: Partial<z.output<z.ZodObject<Shape>>>; failed: ReadonlySet<string> } {
    const failed = new Set<string>();
    const fields: Record<string, unknown> = {};
    if (value === undefined) return { fields: {}, failed };
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.parse(type, value, path);
      return { fields: {}, failed: new Set(Object.keys(type.shape)) };
    }
    for (const [name, fieldType] of Object.entries(type.shape)) {
      const fieldValue = (value as Readonly<Record<string, unknown>>)[name];
      if (fieldValue === undefined) continue;
      const parsed = this.parse(fieldType as unknown as z.ZodType, fieldValue, [...path, name]);
      if (parsed.success) fields[name] = parsed.data;
      else failed.add(name);
    }
    return { fields: fields as Partial<z.output<z.ZodObject<Shape>>>, failed };
  }

  /** Parses one value; its issues are recorded as `NAME must be WHAT, not VALUE`. */
  parse<Type extends z.ZodType>(type: Type, value: unknown, path: DocumentPath): z.ZodSafeParseResult<z.output<Type>> {
    const parsed = type.safeParse(value);
    for (const issue of parsed.error?.issues ?? []) {
      const inner = issue.path.map(part => (typeof part === 'symbol' ? String(part) : part));
      const issuePath = [...path, ...inner];
      const name = issuePath.findLast(part => typeof part === 'string') ?? 'the document';
      this.error(issuePath, `${name} must be ${issue.message}, not ${showValue(valueAt(value, inner))}`, '');
    }
    return parsed;
  }

  /** Throws a ConfigError when anything was wrong; the issues of a file are in the order of its lines. */
  throwIfAny(): void {
    // What was made of a text that could not be read to its end has faults that its writer did not make.
    const { syntaxIssues } = this.#reader;
    const all = syntaxIssues.length > 0 ? [...syntaxIssues] : this.issues;
    if (all.length === 0) return;
    if (all.every(issue => issue.location?.file !== undefined))
      all.sort((a, b) => (a.location?.line ?? 0) - (b.location?.line ?? 0));
    throw new ConfigError(all);
  }

  /** Warnings as lines. */
  warningLines(): readonly string[] {
    return this.warnings.map(formatIssue);
  }
}

function valueAt(value: unknown, path: DocumentPath): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Readonly<Record<string | number, unknown>>)[part];
  }
  return current;
}

/** A value in a message, short. */
function showValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
