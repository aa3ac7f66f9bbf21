// What a running connector tells of itself for a diagnosis. Source: docs/protocol/commands-and-api.md §13, §18.

export interface DiagnosticConnection {
  readonly connIndex: number;
  readonly protocol: 'quic' | 'http2';
  /** IP address of the edge. */
  readonly ip: string;
}

export interface DiagnosticSource {
  /** Version text of this program. */
  readonly version: string;
  readonly tunnelId: string;
  readonly connectorId: string;
  /** Registered connections now. */
  connections(): readonly DiagnosticConnection[];
  /** Addresses that echo requests leave from; none without ICMP. */
  icmpSources(): readonly string[];
  /** Flags that are set, by name; without secrets. */
  readonly settings: Readonly<Record<string, string>>;
  /** Checks the way to the edge anew, some seconds; becomes JSON. */
  checkEdge(): Promise<unknown>;
}
