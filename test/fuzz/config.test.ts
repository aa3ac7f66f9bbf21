// Damaged documents: whatever the bytes, the parsers either accept them or say 'config.invalid'. Seeded.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseConfigFile } from '../../internal/config/file/config-file.ts';
import { createMatcher } from '../../internal/ingress/match.ts';
import { ConfigError } from '../../internal/schema/config-error.ts';
import { parseRemoteConfig } from '../../internal/schema/remote-config.ts';

const json =
  '{"originRequest":{"connectTimeout":10,"access":{"required":true,"teamName":"t","audTag":["a"]}},"ingress":' +
  '[{"hostname":"*.example.com","path":"^/[a-z]+(x|y)?$","service":"https://localhost:8000","originRequest":{"caPool":"p"}},' +
  '{"hostname":"s","service":"socks-proxy","originRequest":{"ipRules":[{"prefix":"10.0.0.0/8","ports":[80],"allow":true}]}},' +
  '{"service":"http_status:404"}],"warp-routing":{"maxActiveFlows":3}}';
const yaml = `tunnel: x
grace-period: 30s
tag: [a=b]
originRequest: &o {connectTimeout: 10s, noTLSVerify: yes}
ingress:
  - hostname: "*.example.com"
    path: ^/[a-z]+(x|y)?$
    service: https://localhost:8000
    originRequest: {<<: *o, tlsTimeout: 1m}
  - service: http_status:404
`;
/** Pieces that mean something to one of the grammars. */
const pieces = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  '*',
  '&',
  '<<',
  '- ',
  '\n',
  '(',
  '?',
  '\\',
  '\0',
  '\ufeff',
  '1e9',
  'null',
  '~',
  '%',
  '|',
  '\t',
];

function mutate(text: string, random: (below: number) => number): string {
  let mutated = text;
  for (let count = 1 + random(4); count > 0; count -= 1) {
    const at = random(mutated.length + 1);
    const length = random(3) === 0 ? random(20) : random(2);
    const piece =
      random(3) === 0
        ? ''
        : random(2) === 0
          ? (pieces[random(pieces.length)] ?? '')
          : mutated.slice(at, at + random(30));
    mutated = mutated.slice(0, at) + piece + mutated.slice(at + length);
  }
  return mutated;
}

it('damaged documents are accepted or refused, never anything else', () => {
  let seed = 20_261_121;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return (seed >>> 8) % below;
  };
  let accepted = 0;
  for (let round = 0; round < 1500; round += 1) {
    const isJson = round % 2 === 0;
    const text = mutate(isJson ? json : yaml, random);
    try {
      const config = isJson ? parseRemoteConfig(text) : parseConfigFile(text, 'f').config;
      if (config === undefined) continue;
      accepted += 1;
      createMatcher(config.rules).match('a.example.com:1', '/x%2');
    } catch (error) {
      assert.ok(error instanceof ConfigError && error.issues.length > 0, `${JSON.stringify(text)}\n${String(error)}`);
    }
  }
  assert.ok(accepted > 100, `only ${accepted} were accepted: the damage is too heavy to test anything`);
  for (const text of [json, yaml]) {
    for (let length = 0; length < text.length; length += 7) {
      try {
        if (text === json) parseRemoteConfig(text.slice(0, length));
        else parseConfigFile(text.slice(0, length), 'f');
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }
  }
});
