// Logs the begin and end of each flow at level debug: no operator needs to act on what a client does.

import { formatHostPort } from '../../net/address/host-port.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { FlowEvent, FlowSubject } from './flow.ts';
import type { FlowTracker } from './flow-tracker.ts';

/** Logs every event until the returned function is called. */
export function logFlows(tracker: FlowTracker, logger: Logger): () => void {
  return tracker.subscribe(event => {
    if (!logger.isLevelEnabled('debug')) return;
    if (event.kind === 'denied') {
      logger.debug({ ...fieldsOf(event.subject), reason: event.reason }, 'Flow denied');
    } else {
      logger.debug(
        { ...fieldsOf(event.flow), flow: event.flow.id, tunnelID: event.flow.tunnelId, ...endOf(event) },
        event.kind === 'started' ? 'Flow started' : 'Flow ended',
      );
    }
  });
}

function endOf(event: FlowEvent): Readonly<Record<string, string | number>> {
  if (event.kind !== 'ended') return {};
  const { flow, reason, endedAtMs } = event;
  const { up, down } = flow.bytes;
  return { reason, bytesUp: up, bytesDown: down, durationMS: endedAtMs - flow.startedAtMs };
}

function fieldsOf(subject: FlowSubject): Readonly<Record<string, string>> {
  return {
    onRamp: subject.onRamp,
    protocol: subject.protocol,
    vnet: subject.networkId,
    ...(subject.tokenId === undefined ? {} : { apiToken: subject.tokenId }),
    src: joinPort(subject.sourceAddress, subject.sourcePort),
    dst: joinPort(subject.destination, subject.destinationPort),
  };
}

function joinPort(host: string, port: number): string {
  return port === 0 ? host : formatHostPort(host, port);
}
