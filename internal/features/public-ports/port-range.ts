// Which ports of the edge may be given to tunnels, as the operator says: of all accounts, or of one.

export interface PortRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
  /** Name of the account that may have them; undefined = any. */
  readonly account: string | undefined;
}

/** `5000-5999`, `5432` or `ACCOUNT=5000-5999`; undefined when it is none of these. */
export function parsePortRange(text: string): PortRange | undefined {
  const match = /^(?:(.+)=)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, account, from, to = from] = match;
  const [first, last] = [Number(from), Number(to)];
  return first >= 1 && first <= last && last <= 65_535 ? { first, last, account } : undefined;
}

/** The ranges that an account may take ports from. */
export function rangesOf(ranges: readonly PortRange[], account: string): readonly PortRange[] {
  return ranges.filter(range => range.account === undefined || range.account === account);
}

export function isInRanges(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ first, last }) => port >= first && port <= last);
}

/** `5000-5999, 7000`, for messages. */
export function formatRanges(ranges: readonly PortRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(', ');
}
