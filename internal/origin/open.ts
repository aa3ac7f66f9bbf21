// The chooser: from a validated ingress rule to the origin that serves it. Source: spec ingress-and-origin §3.

import { PosternError } from '../errors/error.ts';
import type { IngressRule } from '../schema/ingress-rule.ts';
import type { HeaderList, Origin } from './exchange.ts';
import { openHttpOrigin } from './http.ts';
import { HttpStatusOrigin } from './http-status.ts';

export interface OpenOriginOptions {
  readonly rule: IngressRule;
  /** `Cf-Warp-Tag-*` headers for HTTP-type origins. */
  readonly tags: HeaderList;
}

/** Opens the origin of a rule; the caller closes it. Throws 'config.invalid', e.g. for an unreadable caPool. */
export async function openOrigin({ rule, tags }: OpenOriginOptions): Promise<Origin> {
  const { service, originRequest } = rule;
  switch (service.kind) {
    case 'http':
    case 'unix':
      return openHttpOrigin({ service, originRequest, tags });
    case 'status':
      return new HttpStatusOrigin(service.status);
    default:
      throw new PosternError('unavailable', `Service ${service.text} is not supported.`);
  }
}
