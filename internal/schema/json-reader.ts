// Reads a JSON document as the reader of YAML does, without places: pushed configurations have no file to point into, and a
// parser that keeps places takes seconds for one of a megabyte. Source: docs/protocol/ingress-and-origin.md §5 (keys matched
// case-insensitively, unknown keys ignored).

import * as z from 'zod';
import type { ConfigIssue, DocumentPath, TextLocation } from './config-error.ts';
import { type DocumentReader, maxDepth, maxNodes, tooMuch, type UnknownKey, unwrap } from './document-reader.ts';

/** Parses the text; throws SyntaxError, as JSON.parse does. */
export function createJsonReader(text: string): DocumentReader {
  return new JsonReader(JSON.parse(text, asWritten));
}

/** Every number of the grammar is an integer, and Go refuses `1.0` and `1e1` for one: those are kept as their text. */
function asWritten(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  return /^-?\d+$/.test(context.source) ? value : context.source;
}

/** The place of everything. */
const nowhere: TextLocation = { file: undefined, line: 1, column: 1 };

type JsonObject = Readonly<Record<string, unknown>>;

class JsonReader implements DocumentReader {
  readonly dialect = 'json';
  readonly syntaxIssues: ConfigIssue[] = [];
  readonly empty: boolean;
  readonly rootIsMap: boolean;
  readonly unknownKeys: UnknownKey[] = [];
  readonly #root: JsonObject;
  #nodes = 0;

  constructor(root: unknown) {
    this.empty = root === null;
    this.rootIsMap = isObject(root);
    this.#root = isObject(root) ? root : {};
  }

  get rootKeys(): readonly string[] {
    return Object.keys(this.#root);
  }

  read(key: string, schema: z.ZodType): unknown {
    return this.#value(this.#own(key), schema, [key], 1);
  }

  readPlain(key: string): unknown {
    return this.#value(this.#own(key), undefined, [key], 1);
  }

  locate(): TextLocation {
    return nowhere;
  }

  #own(key: string): unknown {
    return Object.hasOwn(this.#root, key) ? this.#root[key] : undefined;
  }

  #value(value: unknown, schema: z.ZodType | undefined, path: DocumentPath, depth: number): unknown {
    this.#nodes += 1;
    if (this.#nodes > maxNodes || depth > maxDepth) {
      if (this.syntaxIssues.length === 0)
        this.syntaxIssues.push({ path: [], location: nowhere, ...tooMuch(depth > maxDepth) });
      return undefined;
    }
    const type = unwrap(schema);
    if (Array.isArray(value)) {
      const element = type instanceof z.ZodArray ? (type.element as z.ZodType) : undefined;
      // A missing element is an empty one, as in Go.
      const missing = (): object | null => (unwrap(element) instanceof z.ZodObject ? {} : null);
      return value.map((item, at) => this.#value(item, element, [...path, at], depth + 1) ?? missing());
    }
    if (isObject(value)) return this.#map(value, type, path, depth);
    return value ?? undefined;
  }

  #map(map: JsonObject, type: z.ZodType | undefined, path: DocumentPath, depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = Object.create(null);
    const known = type instanceof z.ZodObject ? (type.shape as Readonly<Record<string, z.ZodType>>) : undefined;
    for (const key of Object.keys(map)) {
      const name = known === undefined ? key : knownName(key, known);
      if (name === undefined) {
        this.unknownKeys.push({ path, key, location: nowhere, known: Object.keys(known ?? {}) });
        continue;
      }
      const value = this.#value(map[key], known?.[name], [...path, name], depth + 1);
      if (value !== undefined) result[name] = value;
    }
    return result;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function knownName(key: string, known: Readonly<Record<string, z.ZodType>>): string | undefined {
  if (Object.hasOwn(known, key)) return key;
  const lower = key.toLowerCase();
  return Object.keys(known).find(name => name.toLowerCase() === lower);
}
