// Which UDP port the QUIC dials of one connection index leave from: that of the connection before, so that firewall rules
// and the bindings of NATs stay good over a reconnect. Source: docs/protocol/edge-protocol.md §4.5.

import { isPosternError } from '../../errors/error.ts';
import type { LoopContext } from './loop-context.ts';

/**
 * Dials as `dial` does, over QUIC from the port of the last QUIC connection that it made; the transport takes any other
 * port when that one is in use. A port from which no handshake came through in time is forgotten (not so
 * cloudflared): a binding that has gone bad on the way must not keep the connection down.
 */
export function reuseSourcePort(dial: LoopContext['dial']): LoopContext['dial'] {
  let port: number | undefined;
  return async (protocol, options) => {
    if (protocol !== 'quic') return dial(protocol, options);
    const used = port;
    try {
      const connection = await dial(protocol, { ...options, localPort: used });
      port = connection.localPort;
      return connection;
    } catch (error) {
      if (port === used && isPosternError(error, 'dial.timeout')) port = undefined;
      throw error;
    }
  };
}
