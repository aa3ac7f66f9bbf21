// Reads YAML text into plain values while keeping, for every key path, its place in the text. The zod schema given to `read`
// says which keys exist and how scalars are taken; it is applied by the caller afterwards. JSON is json-reader.ts.
// Source: docs/protocol/ingress-and-origin.md §2.

import type { Document, Node, Scalar, YAMLParseError } from 'yaml';
import * as z from 'zod';
import { type ConfigIssue, type DocumentPath, formatPath, type TextLocation } from './config-error.ts';
import { loadYaml } from './load-yaml.ts';
import { describeSyntaxError, duplicateKey, missingAnchor, type SyntaxFault } from './syntax-fault.ts';

/** `yaml`: exact keys, YAML 1.1 booleans where a boolean is asked for. `json`: keys in any case, integers written as such. */
export type Dialect = 'yaml' | 'json';

/** A key that no schema knows, with the place where it stands. */
export interface UnknownKey {
  readonly path: DocumentPath;
  readonly key: string;
  readonly location: TextLocation;
  /** Keys that would be right there. */
  readonly known: readonly string[];
}

/** Nodes visited at most, aliases expanded: a thousand rules with every setting stay far below. Bounds alias bombs. */
export const maxNodes = 100_000;
/** Nesting at most; the deepest document of the grammar is 6 levels deep. */
export const maxDepth = 40;

export interface DocumentReader {
  readonly dialect: Dialect;
  /** Syntax errors, and the bounds that reading ran into (look again after reading); nothing else can be trusted then. */
  readonly syntaxIssues: readonly ConfigIssue[];
  /** Whether the text holds no value at all. */
  readonly empty: boolean;
  /** Entries of the root map, anchors and merge keys resolved; empty when the root is not a map. */
  readonly rootKeys: readonly string[];
  /** Whether the root is a map. */
  readonly rootIsMap: boolean;
  /** The value under a root key, shaped for `schema`; undefined when absent or null. */
  read(key: string, schema: z.ZodType): unknown;
  /** The value under a root key as it stands. */
  readPlain(key: string): unknown;
  /** The place of a path of the values that were read; of its nearest parent when the path itself is absent. */
  locate(path: DocumentPath): TextLocation;
  /** Keys met by `read` that its schema does not know. */
  readonly unknownKeys: readonly UnknownKey[];
}

/** Lines, and signs between values, at most: parsing takes a second for so many, and nothing else runs meanwhile. */
const maxSigns = 100_000;

/** Whether a text is surely too large, told without parsing it. */
function isTooLarge(text: string): boolean {
  let [lines, signs] = [0, 0];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === newline) lines += 1;
    else if (code === comma) signs += 1;
    else if (code === colon || code === dash || code === question) {
      const next = text.charCodeAt(index + 1);
      if (next === space || next === newline) signs += 1;
    }
    if (lines > maxSigns || signs > maxSigns) return true;
  }
  return false;
}

const [newline, space, comma, dash, colon, question] = [10, 32, 44, 45, 58, 63];

/** Parses YAML; never throws. `file` names the text in locations. */
export function createDocumentReader(text: string, file: string): DocumentReader {
  const { LineCounter, parseDocument } = loadYaml();
  const lineCounter = new LineCounter();
  const locateOffset = (offset: number): TextLocation => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const issue = ({ text, remedy }: SyntaxFault, offset: number): ConfigIssue => ({
    path: [],
    location: locateOffset(offset),
    text: `error parsing YAML in config file at ${file}: ${text}`,
    remedy,
  });

  const tooDeep = (offset: number): ConfigIssue => ({ path: [], location: locateOffset(offset), ...tooMuch(true) });
  // The parser recurses: a thousand opening brackets end its stack, which it tells as a fault of the text.
  const faultOf = (error: YAMLParseError): ConfigIssue =>
    error.message.includes('call stack') ? tooDeep(error.pos[0]) : issue(describeSyntaxError(error), error.pos[0]);

  let document: Document.Parsed | undefined;
  let targets: AliasTargets = new Map();
  const syntaxIssues: ConfigIssue[] = [];
  if (isTooLarge(text)) {
    syntaxIssues.push({ path: [], location: locateOffset(0), ...tooMuch(false) });
    return new Reader(undefined, targets, syntaxIssues, locateOffset, issue);
  }
  try {
    document = parseDocument(text, {
      lineCounter,
      prettyErrors: false,
      logLevel: 'silent',
      // It compares each key with each other one; `survey` does not.
      uniqueKeys: false,
      schema: 'core',
    });
    // Only the first document of a stream counts, and of its faults the first: the parser mistakes what follows.
    const error = document.errors.find(({ code }) => code !== 'MULTIPLE_DOCS');
    if (error !== undefined) syntaxIssues.push(faultOf(error));
    else {
      const found = survey(document);
      targets = found.targets;
      if (found.duplicate !== undefined) syntaxIssues.push(issue(duplicateKey, found.duplicate));
    }
  } catch (error) {
    if (error instanceof RangeError) syntaxIssues.push(tooDeep(0));
    else syntaxIssues.push(issue({ text: error instanceof Error ? error.message : String(error), remedy: '' }, 0));
  }
  return new Reader(document, targets, syntaxIssues, locateOffset, issue);
}

type AliasTargets = ReadonlyMap<Node, Node>;

/** Where aliases lead, and the offset of a key that its map has twice, in one walk however many there are. */
function survey(document: Document.Parsed): { targets: AliasTargets; duplicate: number | undefined } {
  const { isAlias, isScalar, visit } = loadYaml();
  const anchors = new Map<string, Node>();
  const targets = new Map<Node, Node>();
  let duplicate: number | undefined;
  visit(document, {
    Node: (_key, node) => {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
    Map: (_key, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      const keys = new Set<unknown>();
      for (const { key } of node.items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) duplicate ??= key.range?.[0] ?? 0;
        keys.add(key.value);
      }
    },
  });
  return { targets, duplicate };
}

interface Entry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: Node | undefined;
}

class Reader implements DocumentReader {
  readonly dialect = 'yaml';
  readonly syntaxIssues: ConfigIssue[];
  readonly empty: boolean;
  readonly rootIsMap: boolean;
  readonly unknownKeys: UnknownKey[] = [];
  readonly #document: Document.Parsed | undefined;
  readonly #targets: AliasTargets;
  readonly #locateOffset: (offset: number) => TextLocation;
  readonly #issue: (fault: SyntaxFault, offset: number) => ConfigIssue;
  readonly #root = new Map<string, Entry>();
  readonly #offsets = new Map<string, number>();
  #nodes = 0;

  constructor(
    document: Document.Parsed | undefined,
    targets: AliasTargets,
    syntaxIssues: ConfigIssue[],
    locateOffset: (offset: number) => TextLocation,
    issue: (fault: SyntaxFault, offset: number) => ConfigIssue,
  ) {
    this.#issue = issue;
    this.#document = document;
    this.#targets = targets;
    this.syntaxIssues = syntaxIssues;
    this.#locateOffset = locateOffset;
    const contents = document?.contents ?? undefined;
    this.empty = contents === undefined || (loadYaml().isScalar(contents) && contents.value === null);
    this.rootIsMap = loadYaml().isMap(contents);
    if (contents !== undefined && this.rootIsMap && syntaxIssues.length === 0) {
      for (const entry of this.#entries(contents, 0)) this.#root.set(entry.key, entry);
    }
  }

  get rootKeys(): readonly string[] {
    return [...this.#root.keys()];
  }

  read(key: string, schema: z.ZodType): unknown {
    const entry = this.#root.get(key);
    if (entry === undefined) return undefined;
    this.#offsets.set(key, entry.value?.range?.[0] ?? entry.keyOffset);
    return this.#value(entry.value, schema, [key], 1);
  }

  readPlain(key: string): unknown {
    const entry = this.#root.get(key);
    if (entry === undefined) return undefined;
    this.#offsets.set(key, entry.value?.range?.[0] ?? entry.keyOffset);
    return this.#value(entry.value, undefined, [key], 1);
  }

  locate(path: DocumentPath): TextLocation {
    for (let length = path.length; length > 0; length -= 1) {
      const offset = this.#offsets.get(formatPath(path.slice(0, length)));
      if (offset !== undefined) return this.#locateOffset(offset);
    }
    return this.#locateOffset(this.#document?.contents?.range?.[0] ?? 0);
  }

  #value(node: Node | undefined, schema: z.ZodType | undefined, path: DocumentPath, depth: number): unknown {
    const target = this.#resolve(node, depth);
    if (target === undefined) return undefined;
    const type = unwrap(schema);
    if (loadYaml().isMap(target)) return this.#map(target, type, path, depth);
    if (loadYaml().isSeq(target)) {
      const element = type instanceof z.ZodArray ? (type.element as z.ZodType) : undefined;
      return target.items.map((item, at) => {
        const itemPath = [...path, at];
        const itemNode = item as Node | undefined;
        this.#offsets.set(formatPath(itemPath), itemNode?.range?.[0] ?? target.range?.[0] ?? 0);
        // A missing element is an empty one, as in Go.
        return (
          this.#value(itemNode, element, itemPath, depth + 1) ?? (unwrap(element) instanceof z.ZodObject ? {} : null)
        );
      });
    }
    return loadYaml().isScalar(target) ? this.#scalar(target, type) : undefined;
  }

  #map(node: Node, type: z.ZodType | undefined, path: DocumentPath, depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = Object.create(null);
    const known = type instanceof z.ZodObject ? (type.shape as Readonly<Record<string, z.ZodType>>) : undefined;
    for (const entry of this.#entries(node, depth)) {
      const name = entry.key;
      if (known !== undefined && !Object.hasOwn(known, name)) {
        const location = this.#locateOffset(entry.keyOffset);
        this.unknownKeys.push({ path, key: entry.key, location, known: Object.keys(known ?? {}) });
        continue;
      }
      const entryPath = [...path, name];
      this.#offsets.set(formatPath(entryPath), entry.value?.range?.[0] ?? entry.keyOffset);
      const value = this.#value(entry.value, known?.[name], entryPath, depth + 1);
      if (value !== undefined) result[name] = value;
    }
    return result;
  }

  #scalar(node: Scalar, type: z.ZodType | undefined): unknown {
    const { value, source, type: style } = node;
    if (value === null) return undefined;
    // Go takes any scalar where it wants a string, and YAML 1.1's booleans where it wants a boolean.
    if (type instanceof z.ZodString && typeof value !== 'string') return source ?? String(value);
    if (type instanceof z.ZodBoolean && typeof value === 'string' && style === 'PLAIN') {
      if (/^(y|Y|yes|Yes|YES|on|On|ON)$/.test(value)) return true;
      if (/^(n|N|no|No|NO|off|Off|OFF)$/.test(value)) return false;
    }
    // Numbers of YAML 1.1 may have underscores.
    const isNumber = type === undefined || type instanceof z.ZodNumber;
    if (isNumber && typeof value === 'string' && style === 'PLAIN' && /^[-+]?\d+(_+\d+)+$/.test(value))
      return Number(value.replaceAll('_', ''));
    return value;
  }

  #entries(node: Node, depth: number): Entry[] {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    if (!loadYaml().isMap(node)) return [];
    for (const pair of node.items) {
      const keyNode = pair.key as Node;
      const value = (pair.value ?? undefined) as Node | undefined;
      if (!loadYaml().isScalar(keyNode)) continue;
      const key = String(keyNode.value);
      if (key === '<<' && keyNode.type === 'PLAIN') {
        for (const entry of this.#mergeSources(value, depth)) if (!merged.has(entry.key)) merged.set(entry.key, entry);
        continue;
      }
      own.set(key, { key, keyOffset: keyNode.range?.[0] ?? 0, value });
    }
    return [...merged.values()].filter(entry => !own.has(entry.key)).concat([...own.values()]);
  }

  #mergeSources(value: Node | undefined, depth: number): Entry[] {
    const target = this.#resolve(value, depth + 1);
    if (loadYaml().isSeq(target)) return target.items.flatMap(item => this.#mergeSources(item as Node, depth + 1));
    return target === undefined ? [] : this.#entries(target, depth + 1);
  }

  /** Follows aliases, within the bounds. */
  #resolve(node: Node | undefined, depth: number): Node | undefined {
    this.#nodes += 1;
    if (this.#nodes > maxNodes || depth > maxDepth) {
      if (this.syntaxIssues.length === 0) {
        const location = this.#locateOffset(node?.range?.[0] ?? 0);
        this.syntaxIssues.push({ path: [], location, ...tooMuch(depth > maxDepth) });
      }
      return undefined;
    }
    if (!loadYaml().isAlias(node)) return node;
    const target = this.#targets.get(node);
    if (target === undefined && this.syntaxIssues.length === 0)
      this.syntaxIssues.push(this.#issue(missingAnchor(node.source), node.range?.[0] ?? 0));
    return this.#resolve(target, depth + 1);
  }
}

/** What is wrong with a document beyond the bounds. */
export function tooMuch(isDeep: boolean): SyntaxFault {
  return {
    text: `the document is too ${isDeep ? 'deep' : 'large'}`,
    remedy: `At most ${maxDepth} levels and ${maxNodes} lines and values are read, aliases expanded.`,
  };
}

/** The type inside optional wrappers. */
export function unwrap(schema: z.ZodType | undefined): z.ZodType | undefined {
  let current = schema;
  while (current instanceof z.ZodOptional) current = current.unwrap() as z.ZodType;
  return current;
}
