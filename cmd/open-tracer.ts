// Traces as the variables of the environment want them, for both programs. Nothing is loaded when they want none.

import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { readTraceSettings, type TraceSettings } from '../internal/config/trace-settings.ts';
import { describeError } from '../internal/errors/error.ts';
import { systemRoots } from '../internal/net/trust/system-roots.ts';
import type { Logger } from '../internal/telemetry/logger.ts';
import type { Tracer } from '../internal/telemetry/tracing/tracer.ts';
import type { CommandContext } from './context.ts';
import { resolvePath } from './resolve-path.ts';
import { version } from './version-line.ts';

/** Its caller's to close. Undefined when there are to be no traces. `service`: its name where none is given. */
export async function openTracer(
  service: string,
  logger: Logger,
  context: Pick<CommandContext, 'cwd' | 'env' | 'homeDir' | 'pid'>,
): Promise<Tracer | undefined> {
  const { settings, warnings } = readTraceSettings(context.env);
  for (const warning of warnings) logger.warn(warning);
  if (settings === undefined) return undefined;
  let tls: Awaited<ReturnType<typeof readTls>>;
  try {
    tls = await readTls(settings, context);
  } catch (error) {
    logger.warn({ error: describeError(error) }, 'No traces: a certificate or key of the collector cannot be read');
    return undefined;
  }
  const [{ createSampler }, { createTracer }, { OtlpExporter }] = await Promise.all([
    import('../internal/telemetry/tracing/sampler.ts'),
    import('../internal/telemetry/tracing/tracer.ts'),
    import('../internal/telemetry/tracing/otlp-exporter.ts'),
  ]);
  const resource = {
    'service.name': service,
    'service.version': version,
    'service.instance.id': `${hostname()}:${context.pid}`,
    ...settings.resource,
  };
  logger.info({ collector: settings.url.host, sampler: settings.sampler.name }, 'Exporting traces');
  return createTracer(
    createSampler(settings.sampler),
    new OtlpExporter({ ...settings, tls, resource, version, logger }),
  );
}

async function readTls({ files, url }: TraceSettings, context: Parameters<typeof resolvePath>[1]) {
  if (url.protocol !== 'https:') return {};
  const read = (path: string): Promise<string> => readFile(resolvePath(path, context), 'utf8');
  return {
    ca: files.ca === undefined ? systemRoots() : [await read(files.ca)],
    ...(files.cert === undefined ? {} : { cert: await read(files.cert) }),
    ...(files.key === undefined ? {} : { key: await read(files.key) }),
  };
}
