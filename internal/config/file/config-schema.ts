// The JSON Schema of the config file, for editors: docs/schemas/config.json, and the file that `tunnel config init` writes beside
// a new config file. Source: the tables of flags and the types of the structured keys.

import * as z from 'zod';
import { documentTypes } from '../../schema/ingress-document.ts';
import type { Flag, FlagType } from '../flag.ts';
import { ignoredFlags } from '../ignored-flags.ts';
import { tunnelSettingFlags } from '../tunnel-settings.ts';
import { entryFlags } from './tunnel-entries.ts';

/** Draft 7, which every editor reads. */
export function configFileSchema(): object {
  const { ingress, originRequest, warpRouting } = documentTypes.yaml;
  const structured = z.strictObject({
    tunnel: z.string().describe('Id or name of the tunnel').optional(),
    ingress: ingress
      .describe('The first rule that matches serves the request; the last one matches everything')
      .optional(),
    originRequest: originRequest.describe('Defaults of all rules').optional(),
    'warp-routing': warpRouting.describe('Private networks').optional(),
  });
  const schema = z.toJSONSchema(structured, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
    override: closeObject,
  });
  const { tunnel, ...structuredProperties } = schema.properties ?? {};
  return {
    ...schema,
    title: 'Config file of postern',
    properties: {
      ...flagProperties(),
      tunnel,
      tunnels: tunnelsSchema({ tunnel, ...structuredProperties }),
      ...structuredProperties,
    },
  };
}

/** `structured`: the keys that are no flags, which mean the same in an entry. */
function tunnelsSchema(structured: Readonly<Record<string, unknown>>): object {
  const entry = {
    type: 'object',
    description: 'A tunnel with settings of its own; what it leaves open, the file says for all',
    properties: { ...Object.fromEntries(entryFlags.flatMap(namedSchemas)), ...structured },
    anyOf: [{ required: ['tunnel'] }, { required: ['token-file'] }],
    additionalProperties: false,
  };
  return {
    type: 'array',
    description: 'Several tunnels to run in one process',
    items: { anyOf: [{ type: 'string', description: 'Id or name of the tunnel' }, entry] },
  };
}

/** A key that no type knows is a slip of the pen. */
function closeObject({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.type === 'object') jsonSchema.additionalProperties = false;
  // Bounds of the numbers of JavaScript tell nobody anything.
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}

function flagProperties(): Readonly<Record<string, object>> {
  const fromFile = (tunnelSettingFlags as readonly Flag[]).filter(flag => flag.fromFile === true);
  const ignored = ignoredFlags.map(flag => [flag.name, flagSchema({ ...flag, inert: 'ignored' })] as const);
  return Object.fromEntries([...fromFile.flatMap(namedSchemas), ...ignored]);
}

/** The flag under its own name and its long aliases. */
function namedSchemas(flag: Flag): readonly (readonly [string, object])[] {
  const aliases = (flag.aliases ?? []).filter(alias => alias.length > 1);
  return [
    [flag.name, flagSchema(flag)],
    ...aliases.map(
      alias => [alias, { ...flagSchema(flag), deprecated: true, description: `Write ${flag.name}` }] as const,
    ),
  ];
}

const types: Readonly<Record<FlagType, object>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  integer: { type: 'integer' },
  number: { type: 'number' },
  duration: { type: 'string', examples: ['30s', '1m30s'] },
  list: { type: 'array', items: { type: 'string' } },
};

function flagSchema(flag: Flag): object {
  const { description, inert, type } = flag;
  if (inert !== undefined) return { ...types[type], deprecated: true, description: 'Accepted without effect' };
  const value =
    flag.default === undefined ? {} : { default: type === 'boolean' ? flag.default === 'true' : flag.default };
  return { ...types[type], description, ...value };
}
