// Which of two versions is the newer one. Source: Semantic Versioning 2.0.0, §9 to §11; without build metadata.

/** `1.2.3` or `1.2.3-beta.1`. */
export const versionPattern = /^(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){2}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** Below 0 when `left` is older, above when it is newer, 0 when both are the same. Both match `versionPattern`. */
export function compareVersions(left: string, right: string): number {
  const [leftCore = '', leftTail = []] = parts(left);
  const [rightCore = '', rightTail = []] = parts(right);
  const core = compareIdentifiers(leftCore.split('.'), rightCore.split('.'));
  if (core !== 0) return core;
  // A version without a tail comes after all of its candidates.
  if (leftTail.length === 0 || rightTail.length === 0) return rightTail.length - leftTail.length;
  return compareIdentifiers(leftTail, rightTail);
}

/** Whether it is a candidate, `1.2.3-beta.1`. */
export function isPreRelease(version: string): boolean {
  return version.includes('-');
}

function parts(version: string): readonly [core: string, tail: readonly string[]] {
  const at = version.indexOf('-');
  return at === -1 ? [version, []] : [version.slice(0, at), version.slice(at + 1).split('.')];
}

function compareIdentifiers(left: readonly string[], right: readonly string[]): number {
  for (const [at, one] of left.entries()) {
    const other = right[at];
    // More identifiers are more than fewer.
    if (other === undefined) return 1;
    if (one === other) continue;
    const [oneIsNumber, otherIsNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
    if (oneIsNumber && otherIsNumber) return Number(one) - Number(other);
    if (oneIsNumber !== otherIsNumber) return oneIsNumber ? -1 : 1;
    return one < other ? -1 : 1;
  }
  return left.length - right.length;
}
