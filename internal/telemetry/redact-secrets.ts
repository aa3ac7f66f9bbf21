// Takes secrets out of text that leaves the machine, such as a log in a bundle for support: what opens doors is replaced by
// `*****`, the rest stays as it was. A text that was escaped for JSON stays valid JSON.

/** Stands where a secret was. */
const mask = '*****';

/** How names of headers, members of JSON and settings end whose values open doors, and what stands between name and value. */
const named =
  /((?:cookie|authorization|cf-access-[\w-]{1,64}|secret|password|passwd|token|api[-_]?key|private[-_]?key)(?:\\?["'])?\s{0,4}[:=]\s{0,4})/
    .source;

const rules: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // PEM with a private key, its newlines as they are or as JSON has them.
  [/-----BEGIN ([A-Z ]{0,20}PRIVATE KEY|ARGO TUNNEL TOKEN)-----(?:[^-]|-(?!-)){0,8000}-----END \1-----/g, mask],
  // The user part of a URL.
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#"'@\\]{1,512}@/gi, `$1${mask}@`],
  // Base64 of JSON: tokens of tunnels, and JSON Web Tokens with their signature.
  [/\beyJ[\w+/=-]{16,}(\.[\w-]+)*/g, mask],
  [/\b(?:Bearer|Basic|Negotiate)\s+[\w.~+/=-]{4,}/gi, mask],
  // A value in quotes, in quotes that are escaped, in a list, and bare.
  [new RegExp(`${named}"(?:[^"\\\\]|\\\\.)*"`, 'gi'), `$1"${mask}"`],
  [new RegExp(`${named}\\\\"(?:[^"\\\\]|\\\\\\\\.)*\\\\"`, 'gi'), `$1\\"${mask}\\"`],
  [new RegExp(`${named}\\[[^\\[\\]]{0,8000}\\]`, 'gi'), `$1["${mask}"]`],
  [new RegExp(`${named}[^\\s"\\\\[\\]{},;&]+(?:;\\s?[^\\s"\\\\;,]+)*`, 'gi'), `$1${mask}`],
];

/** Runs in time that grows with the length of `text` alone. */
export function redactSecrets(text: string): string {
  let result = text;
  for (const [pattern, replacement] of rules) result = result.replace(pattern, replacement);
  return result;
}
