import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redactSecrets } from './redact-secrets.ts';

const token = Buffer.from(JSON.stringify({ a: 'account', t: 'tunnel', s: 'c2VjcmV0LXNlY3JldA==' })).toString('base64');
const jwt = `${Buffer.from('{"alg":"RS256","typ":"JWT"}').toString('base64url')}.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl`;

describe('redactSecrets', () => {
  it('takes out what opens doors, however it is written', () => {
    for (const [text, wanted] of [
      ['https://bob:hunter2@db.internal/x?y', 'https://*****@db.internal/x?y'],
      [`started with --token ${token} and more`, 'started with --token ***** and more'],
      [`assertion ${jwt}, next`, 'assertion *****, next'],
      ['Authorization: Bearer abcdef.12345', 'Authorization: *****'],
      ['cookie: session=abc; theme=dark', 'cookie: *****'],
      ['{"TunnelSecret":"aGVsbG8=","TunnelID":"x"}', '{"TunnelSecret":"*****","TunnelID":"x"}'],
      ['{"headers":{"set-cookie":["a=b","c=d"],"host":"x"}}', '{"headers":{"set-cookie":["*****"],"host":"x"}}'],
      [
        String.raw`{"message":"{\"password\":\"pa ss\",\"n\":1}"}`,
        String.raw`{"message":"{\"password\":\"*****\",\"n\":1}"}`,
      ],
      ['-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nafter', '*****\nafter'],
      [String.raw`"-----BEGIN EC PRIVATE KEY-----\nMIIE\n-----END EC PRIVATE KEY-----\n"`, String.raw`"*****\n"`],
    ] as const)
      assert.equal(redactSecrets(text), wanted, text);
  });

  it('leaves the rest, and JSON readable', () => {
    for (const text of [
      '{"token-file":"/etc/postern/token","url":"http://localhost:3000","uid":"0"}',
      'INF Registered tunnel connection connIndex=0 connection=5d2f ip=192.0.2.1 location=lhr01',
      'https://example.com/path@v2?to=a@b.example',
    ])
      assert.equal(redactSecrets(text), text);
    const document = { 'api-key': 'a"b\\', list: ['https://u:p@h/'], 'proxy-authorization': 'Basic eDp5eg==', n: 1 };
    assert.deepEqual(JSON.parse(redactSecrets(JSON.stringify(document))), {
      'api-key': '*****',
      list: ['https://*****@h/'],
      'proxy-authorization': '*****',
      n: 1,
    });
  });

  it('takes time that grows with the text alone', () => {
    const started = performance.now();
    for (const part of ['eyJ', '-----BEGIN PRIVATE KEY-----', 'http://', 'secret-', '"password":"\\', 'cookie:['])
      redactSecrets(part.repeat(200_000 / part.length));
    assert.ok(performance.now() - started < 2_000);
  });
});
