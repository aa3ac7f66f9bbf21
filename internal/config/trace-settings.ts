// Where traces go, from the standard variables of OpenTelemetry ("Environment variable specification", "OTLP exporter
// configuration"). What cannot be used is a warning and not an error, as those pages demand: a tunnel runs without traces.
// docs/traces.md lists the variables.

import { type SamplerName, type SamplerSettings, samplerNames } from '../telemetry/tracing/sampler.ts';

export interface TraceSettings {
  /** Of traces, with its path. */
  readonly url: URL;
  readonly format: 'json' | 'protobuf';
  /** Values are secrets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly gzip: boolean;
  /** For one attempt. */
  readonly timeoutMs: number;
  /** PEM files; undefined = the system's roots, and no certificate of our own. */
  readonly files: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
  };
  /** Attributes of the resource; `service.name` only if it was given. */
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerSettings;
  readonly maxQueue: number;
  readonly maxBatch: number;
  readonly delayMs: number;
  readonly exportTimeoutMs: number;
}

export interface ReadTraceSettings {
  /** Undefined = no traces. */
  readonly settings: TraceSettings | undefined;
  /** Variables that cannot be used, with what would be right. Values of headers are not in them. */
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Traces are on when an endpoint or the exporter `otlp` is given. */
export function readTraceSettings(env: Environment): ReadTraceSettings {
  const warnings: string[] = [];
  const reader = new Reader(env, warnings);
  return { settings: isOn(reader) ? readSettings(reader) : undefined, warnings };
}

/** A variable that is set to nothing is as one that is not set. */
class Reader {
  readonly #env: Environment;
  readonly #warnings: string[];

  constructor(env: Environment, warnings: string[]) {
    this.#env = env;
    this.#warnings = warnings;
  }

  text(name: string): string | undefined {
    const value = this.#env[name]?.trim();
    return value === '' ? undefined : value;
  }

  /** Of the exporter: the one for traces wins over the one for everything. */
  exporter(name: string): { readonly name: string; readonly text: string } | undefined {
    for (const full of [`OTEL_EXPORTER_OTLP_TRACES_${name}`, `OTEL_EXPORTER_OTLP_${name}`]) {
      const text = this.text(full);
      if (text !== undefined) return { name: full, text };
    }
    return undefined;
  }

  warn(text: string): void {
    this.#warnings.push(text);
  }

  number(given: { readonly name: string; readonly text: string } | undefined, fallback: number, most: number): number {
    if (given === undefined) return fallback;
    const value = Number(given.text);
    if (/^\d+$/.test(given.text) && value >= 1 && value <= most) return value;
    this.warn(`${given.name}=${shown(given.text)} is not a number from 1 to ${most}; ${fallback} is taken.`);
    return fallback;
  }

  named(name: string, fallback: number, most: number): number {
    const text = this.text(name);
    return this.number(text === undefined ? undefined : { name, text }, fallback, most);
  }
}

function isOn(reader: Reader): boolean {
  if (reader.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return false;
  const exporter = reader.text('OTEL_TRACES_EXPORTER');
  if (exporter === undefined) return reader.exporter('ENDPOINT') !== undefined;
  const names = exporter.split(',').map(name => name.trim());
  for (const name of names)
    if (name !== 'otlp' && name !== 'none')
      reader.warn(`OTEL_TRACES_EXPORTER names ${shown(name)}; only otlp and none are known.`);
  return names.includes('otlp');
}

function readSettings(reader: Reader): TraceSettings | undefined {
  const format = readFormat(reader);
  const url = readUrl(reader);
  if (format === undefined || url === undefined) return undefined;
  const compression = reader.exporter('COMPRESSION');
  if (compression !== undefined && !['gzip', 'none'].includes(compression.text))
    reader.warn(`${compression.name}=${shown(compression.text)} is not known; gzip is taken.`);
  const name = reader.text('OTEL_SERVICE_NAME');
  const maxQueue = reader.named('OTEL_BSP_MAX_QUEUE_SIZE', 2_048, 65_536);
  const day = 86_400_000;
  return {
    url,
    format,
    headers: readHeaders(reader),
    gzip: compression?.text !== 'none',
    timeoutMs: reader.number(reader.exporter('TIMEOUT'), 10_000, day),
    files: {
      ca: reader.exporter('CERTIFICATE')?.text,
      cert: reader.exporter('CLIENT_CERTIFICATE')?.text,
      key: reader.exporter('CLIENT_KEY')?.text,
    },
    resource: {
      ...readPairs(reader, 'OTEL_RESOURCE_ATTRIBUTES', reader.text('OTEL_RESOURCE_ATTRIBUTES')),
      ...(name === undefined ? {} : { 'service.name': name }),
    },
    sampler: readSampler(reader),
    maxQueue,
    maxBatch: Math.min(maxQueue, reader.named('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512, 65_536)),
    delayMs: reader.named('OTEL_BSP_SCHEDULE_DELAY', 5_000, day),
    exportTimeoutMs: reader.named('OTEL_BSP_EXPORT_TIMEOUT', 30_000, day),
  };
}

function readFormat(reader: Reader): TraceSettings['format'] | undefined {
  const given = reader.exporter('PROTOCOL');
  switch (given?.text) {
    case undefined:
    case 'http/json':
      return 'json';
    case 'http/protobuf':
      return 'protobuf';
    default:
      reader.warn(
        `No traces: ${given?.name}=${shown(given?.text ?? '')} is not spoken. Set it to http/json or http/protobuf.`,
      );
      return undefined;
  }
}

function readUrl(reader: Reader): URL | undefined {
  const own = reader.text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  const base = reader.text('OTEL_EXPORTER_OTLP_ENDPOINT') ?? 'http://localhost:4318';
  // The endpoint of everything has a folder below it for each kind; that of traces is taken as it is.
  const text = own ?? `${base.replace(/\/+$/, '')}/v1/traces`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '') {
    if (url.username === '' && url.password === '') return url;
    reader.warn('No traces: the endpoint has a user and password. Give them in OTEL_EXPORTER_OTLP_HEADERS.');
    return undefined;
  }
  // A URL may hold a token.
  reader.warn(
    `No traces: ${own === undefined ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'} is not an http or https URL, such as http://localhost:4318.`,
  );
  return undefined;
}

function readHeaders(reader: Reader): Readonly<Record<string, string>> {
  const given = reader.exporter('HEADERS');
  const headers = readPairs(reader, given?.name ?? '', given?.text);
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)) kept[name] = value;
    else reader.warn(`${given?.name} has what is not a header; it is not sent.`);
  }
  return kept;
}

/** `key=value,key=value`, values percent-encoded (W3C Baggage). Values are not told: they may be secrets. */
function readPairs(reader: Reader, name: string, text: string | undefined): Readonly<Record<string, string>> {
  const pairs: [string, string][] = [];
  for (const item of text?.split(',') ?? []) {
    if (item.trim() === '') continue;
    const at = item.indexOf('=');
    const key = item.slice(0, Math.max(0, at)).trim();
    if (key === '') reader.warn(`${name} must be name=value,name=value; a part that is not so is left out.`);
    else pairs.push([key, decoded(item.slice(at + 1).trim())]);
  }
  return Object.fromEntries(pairs);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Many write values as they are.
    return text;
  }
}

function readSampler(reader: Reader): SamplerSettings {
  const text = reader.text('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on';
  const name = samplerNames.find(known => known === text);
  if (name === undefined)
    reader.warn(`OTEL_TRACES_SAMPLER=${shown(text)} is not known; parentbased_always_on is taken.`);
  return { name: name ?? 'parentbased_always_on', ratio: readRatio(reader, name) };
}

function readRatio(reader: Reader, name: SamplerName | undefined): number {
  const text = reader.text('OTEL_TRACES_SAMPLER_ARG');
  if (text === undefined || name?.endsWith('traceidratio') !== true) return 1;
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  reader.warn(`OTEL_TRACES_SAMPLER_ARG=${shown(text)} is not a share from 0 to 1; 1 is taken.`);
  return 1;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
