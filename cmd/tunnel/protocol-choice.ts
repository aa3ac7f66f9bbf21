// Which transport protocol a connector may use, from its settings and the way to its edge. Source: docs/protocol/edge-protocol.md
// §3.1.

import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import type { RolloutWatch } from '../../internal/connector/configuration/rollout-watch.ts';
import { AutoProtocol } from '../../internal/connector/protocol/auto-protocol.ts';
import { fixedProtocol, type ProtocolPolicy } from '../../internal/connector/protocol/protocol-policy.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { type ForwardProxy, formatForwardProxy } from '../../internal/net/proxy/forward-proxy.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import type { Protocol } from '../../internal/transport/transport.ts';

/** The one protocol that the setting allows; undefined = what works. */
export function chosenProtocol({ protocol }: TunnelSettings): Protocol | undefined {
  if (protocol === 'quic' || protocol === 'http2') return protocol;
  return protocol === 'h2mux' ? 'http2' : undefined;
}

/** What `auto` learns begins anew with every policy. */
export function createPolicy(
  settings: TunnelSettings,
  rollout: RolloutWatch | undefined,
  logger: Logger,
): ProtocolPolicy {
  const { sources } = settings;
  // A token on the command line or in the environment starts with QUIC whatever the record says
  // (docs/protocol/edge-protocol.md §3.1).
  const hasToken = sources.token !== undefined;
  const chosen = chosenProtocol(settings);
  if (settings.protocol === 'h2mux') logger.warn('The protocol h2mux is no longer there, using http2');
  if (chosen !== undefined) return fixedProtocol(chosen);
  return new AutoProtocol({
    nowMs: () => performance.now(),
    random: Math.random,
    wantsQuic: () => hasToken || rollout?.protocol !== 'http2',
    onChange: text => logger.info(text),
  });
}

/** A forward proxy carries TCP: HTTP/2, whatever the setting leaves open. */
export function proxiedPolicy(settings: TunnelSettings, proxy: ForwardProxy, logger: Logger): ProtocolPolicy {
  const shown = formatForwardProxy(proxy);
  if (chosenProtocol(settings) === 'quic') {
    throw new PosternError(
      'usage.invalid',
      `--protocol quic needs UDP, which the proxy ${shown} of --edge-proxy does not carry. Use --protocol http2 or auto`,
    );
  }
  logger.info(`The way to the edge leads through the proxy ${shown}: HTTP/2 only, for QUIC needs UDP`);
  return fixedProtocol('http2');
}
