// What `tunnel config …` and `tunnel reload` print as JSON.

import * as z from 'zod';

/** Of a configuration at the edge; 0 = none was set. */
const version = z.int();
/** As the API has it: ingress, warp-routing, durations in seconds. */
const remoteConfig = z.looseObject({});
const id = z.uuid();

const explainedSettings = z.array(
  z.strictObject({
    name: z.string(),
    value: z.string().nullable().describe('As one would write it, secrets masked; null = not set'),
    source: z.enum(['flag', 'environment', 'file', 'default']),
    from: z.string().nullable().describe('The flag, the variable, or FILE:LINE'),
  }),
);
const rulesInForce = z.strictObject({
  source: z.enum(['edge', 'file', 'flags', 'none']),
  from: z.string().nullable(),
  config: remoteConfig,
});

/** By the words of the command. */
export const configSchemas: Readonly<Record<string, z.ZodType>> = {
  'tunnel config diff': z.strictObject({
    tunnelId: id,
    version,
    same: z.boolean(),
    edge: remoteConfig,
    local: remoteConfig,
  }),
  'tunnel config pull': z.strictObject({ tunnelId: id, version, config: remoteConfig }),
  'tunnel config push': z.strictObject({
    tunnelId: id,
    changed: z.boolean(),
    before: version,
    version,
    config: remoteConfig,
  }),
  'tunnel config show': z.strictObject({
    file: z.string().nullable().describe('The config file; null when none is used'),
    settings: explainedSettings,
    rules: rulesInForce,
    tunnels: z
      .array(
        z.strictObject({
          name: z.string().describe('As log lines call it'),
          settings: explainedSettings.describe('Those that its own entry sets'),
          rules: rulesInForce,
        }),
      )
      .optional()
      .describe('The tunnels of the list of the config file; absent without one'),
  }),
  'tunnel config validate': z.strictObject({
    file: z.string(),
    valid: z.boolean(),
    problems: z.array(
      z.strictObject({
        line: z.int().nullable(),
        column: z.int().nullable(),
        path: z.string().describe('Of keys, such as ingress[0].service'),
        text: z.string(),
        remedy: z.string(),
      }),
    ),
    warnings: z.array(z.string()),
  }),
  'tunnel reload': z.array(
    z.strictObject({
      pid: z.int(),
      tunnelId: id,
      file: z.string().nullable().describe('Its config file'),
      changes: z.array(
        z.strictObject({
          setting: z.string().describe('Name of a setting, ingress or warp-routing'),
          before: z.string().nullable().describe('null when it was not set'),
          after: z.string().nullable(),
          takesEffect: z.enum(['now', 'restart', 'never']).describe('never: the edge manages the rules'),
        }),
      ),
      error: z.string().optional().describe('Why nothing is taken over'),
    }),
  ),
};
