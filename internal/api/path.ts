// Path templates of the route table: `/accounts/{account}/cfd_tunnel/{id}`. Parameters are whole segments.

import { PosternError } from '../errors/error.ts';

/** The parameters of a template, by name. */
export type PathParams<Path extends string> = {
  readonly [Name in ParamName<Path>]: string;
};

type ParamName<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamName<Rest>
  : never;

/**
 * The template with its parameters put in, percent-encoded. Throws 'api.invalid' for a parameter that would make it
 * another path: an empty one, and dot segments, which no encoding hides from URL parsers.
 */
export function formatPath(template: string, params: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name] ?? '';
    if (value === '' || value === '.' || value === '..')
      throw new PosternError('api.invalid', `${JSON.stringify(value)} is not a valid ${name}`);
    return encodeURIComponent(value);
  });
}

/** The one kind of value that holds a slash, and the name of the parameters that take it. */
const prefixParam = '{prefix}';
const prefixPattern = /^[0-9a-f:.]+\/\d{1,3}$/i;

/**
 * Matches decoded path segments against a template; the parameters, or undefined when it is another path. A value that
 * hides a separator fits no parameter but a `{prefix}`.
 */
export function matchPath(
  template: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (template.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of template.entries()) {
    const segment = segments[index] ?? '';
    if (part.startsWith('{')) {
      if (segment === '') return undefined;
      if (/[/\\]/.test(segment) && !(part === prefixParam && prefixPattern.test(segment))) return undefined;
      params[part.slice(1, -1)] = segment;
    } else if (part !== segment) {
      return undefined;
    }
  }
  return params;
}

/** The decoded segments of a path, or undefined when its percent-encoding is broken. */
export function splitPath(path: string): string[] | undefined {
  try {
    return path.split('/').map(decodeURIComponent);
  } catch {
    // decodeURIComponent throws for `%zz`; such a path names nothing.
    return undefined;
  }
}
