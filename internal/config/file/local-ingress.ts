// What a connector serves until an edge pushes a configuration: the config file's rules, else the flags', else 503.
// Source: docs/protocol/ingress-and-origin.md §1.

import { type IngressConfig, warpRoutingDefaults } from '../../schema/ingress-rule.ts';
import { originRequestDefaults } from '../../schema/origin-request.ts';
import { unavailableRule } from '../../schema/parse-ingress.ts';
import { type OriginSettings, singleOriginRule } from '../single-origin.ts';
import type { ConfigFile } from './config-file.ts';

export interface LocalIngress {
  readonly config: IngressConfig;
  /** `none`: every request is answered 503, which deserves a warning unless the edge manages the configuration. */
  readonly source: 'file' | 'flags' | 'none';
}

/** The warning for `none`. */
export const noRulesWarning =
  'No ingress rules were defined in provided config (if any) nor from the cli, postern will return 503 for all incoming HTTP requests';

/** Throws 'usage.invalid' when the flags name an impossible origin. */
export function localIngress(settings: OriginSettings, file: ConfigFile | undefined): LocalIngress {
  if (file?.config !== undefined) return { config: file.config, source: 'file' };
  const warpRouting = file?.warpRouting ?? warpRoutingDefaults;
  const originRequest = file?.originRequest ?? originRequestDefaults;
  const rule = singleOriginRule(settings);
  if (rule !== undefined) return { config: { rules: [rule], warpRouting, originRequest }, source: 'flags' };
  return { config: { rules: [unavailableRule(originRequest)], warpRouting, originRequest }, source: 'none' };
}
