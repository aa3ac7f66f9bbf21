// A scrape as a map: `name{label="value"}` → value, in the order of the text.

import { once } from 'node:events';
import { request } from 'node:http';

/** Rejects when what is served is not the text format. */
export async function readMetrics(address: { readonly host: string; readonly port: number }) {
  const call = request({ ...address, path: '/metrics', agent: false });
  call.end();
  const [response] = await once(call, 'response');
  let text = '';
  for await (const piece of response) text += piece;
  const figures = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    const value = line.slice(space + 1);
    if (!/^[+-]?(?:[\d.e+-]+|Inf|NaN)$/i.test(value)) throw new Error(`not a sample: ${line}`);
    const name = line.slice(0, space);
    if (figures.has(name)) throw new Error(`told twice: ${name}`);
    figures.set(name, Number(value.replace('Inf', 'Infinity')));
  }
  return figures;
}
