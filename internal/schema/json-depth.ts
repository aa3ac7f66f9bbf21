// How deeply JSON text is nested, told before it is parsed: walkers of much deeper values overflow the stack, and a parser
// that keeps places takes seconds for them.

/** Documents of ours are at most some ten levels deep; much more is nobody's honest document. */
export const maxJsonDepth = 64;

/** Whether brackets outside strings nest more than `levels` deep; of text that is no JSON the answer means nothing. */
export function isDeeperThan(json: string, levels: number): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    switch (json.charCodeAt(at)) {
      case 0x22:
        at += 1;
        while (at < json.length && json.charCodeAt(at) !== 0x22) at += json.charCodeAt(at) === 0x5c ? 2 : 1;
        break;
      case 0x5b:
      case 0x7b:
        depth += 1;
        if (depth > levels) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth -= 1;
        break;
      default:
        break;
    }
  }
  return false;
}
