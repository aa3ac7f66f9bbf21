// The API call that sends an echo request into a private network. Source: RFC 792 and RFC 4443 (echo).

import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import type { Caller } from '../../control-plane/handler-context.ts';
import { isPosternError } from '../../errors/error.ts';
import { formatIp } from '../../net/address/ip.ts';
import type { EchoOutcome, EchoService } from '../../on-ramps/echo/echo-service.ts';
import { parsePrivateHost } from '../../private-network/routes/private-host.ts';

export function createEchoHandler(echo: EchoService): Pick<ApiHandlers<Caller>, 'sendEcho'> {
  return {
    async sendEcho({ body }, caller) {
      const host = parsePrivateHost(body.destination);
      if (host === undefined)
        throw apiProblem('invalid', `${JSON.stringify(body.destination)} is neither an IP address nor a host name`);
      const network = echo.networkOf(caller.accountTag, body.virtual_network_id);
      if (network === undefined) throw apiProblem('notFound', 'Virtual network not found');
      try {
        return showResult(
          await echo.probe({
            network,
            host,
            session: body.session,
            sourceAddress: caller.address,
            ttl: body.ttl,
            sequence: body.sequence,
            timeoutMs: body.timeout_ms,
            data: new Uint8Array(body.size),
          }),
        );
      } catch (error) {
        if (isPosternError(error, 'flow.denied') || isPosternError(error, 'origin.unreachable'))
          throw apiProblem('noPrivateRoute', error.message);
        if (isPosternError(error, 'flow.limit')) throw apiProblem('rateLimited', error.message);
        if (isPosternError(error, 'usage.invalid')) throw apiProblem('invalid', error.message);
        throw error;
      }
    },
  };
}

function showResult({ address: destination, result }: EchoOutcome) {
  const address = formatIp(destination);
  switch (result.kind) {
    case 'reply': {
      const { kind, from, rttMs, ttl, bytes } = result;
      return { kind, address, from: formatIp(from), rtt_ms: rttMs, ttl, bytes };
    }
    case 'time-exceeded':
      return { kind: result.kind, address, from: formatIp(result.from), rtt_ms: result.rttMs };
    case 'timeout':
    case 'unsent':
    case 'unreachable':
      return { kind: result.kind, address };
  }
}
