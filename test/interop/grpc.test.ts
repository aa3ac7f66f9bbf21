// gRPC through the whole tunnel with a client and a server of another make (@grpc/grpc-js): every kind of call, and every
// way a status may come, over both protocols between connector and edge.

import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { openWorld } from '../support/edge-world.ts';
import { until, within } from '../support/wait.ts';

/** Messages are texts: the wire format of messages is nothing to a tunnel. */
const encode = (text: string): Buffer => Buffer.from(text);
const decode = (bytes: Buffer): string => bytes.toString();

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  };
}

const service = {
  unary: method('Unary', false, false),
  upload: method('Upload', true, false),
  download: method('Download', false, true),
  chat: method('Chat', true, true),
  /** Fails at the first message, while the client goes on sending. */
  fussy: method('Fussy', true, true),
  /** Never answers. */
  silent: method('Silent', false, false),
};

interface Origin {
  readonly port: number;
  /** Calls of `silent` that came, and those of them that go on as far as the server knows. */
  silent: number;
  running: number;
}

async function startServer(t: TestContext): Promise<Origin> {
  const server = new Server();
  const origin = { port: 0, silent: 0, running: 0 };
  const trailer = new Metadata();
  trailer.set('sum', 'abc');
  trailer.set('raw-bin', Buffer.from([0, 255, 7]));
  server.addService(service, {
    unary: (call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>) => {
      if (call.request === 'refuse') {
        answer({ code: status.PERMISSION_DENIED, details: 'not you, \u00e9migr\u00e9', metadata: trailer });
        return;
      }
      const head = new Metadata();
      head.set('seen', String(call.metadata.get('token')[0]));
      call.sendMetadata(head);
      answer(null, `echo ${call.request}`, trailer);
    },
    upload: (call: ServerReadableStream<string, string>, answer: sendUnaryData<string>) => {
      let bytes = 0;
      call.on('data', (text: string) => {
        bytes += text.length;
      });
      call.on('end', () => answer(null, String(bytes), trailer));
    },
    download: (call: ServerWritableStream<string, string>) => {
      for (let index = 0; index < 100; index += 1) call.write(`${index} ${'x'.repeat(10_000)}`);
      if (call.request === 'fail') call.emit('error', { code: status.DATA_LOSS, details: 'lost the rest' });
      else call.end(trailer);
    },
    chat: (call: ServerDuplexStream<string, string>) => {
      call.on('data', (text: string) => call.write(`echo ${text}`));
      call.on('end', () => call.end(trailer));
    },
    fussy: (call: ServerDuplexStream<string, string>) => {
      call.once('data', () => call.emit('error', { code: status.INVALID_ARGUMENT, details: 'no more of this' }));
    },
    silent: (call: ServerUnaryCall<string, string>) => {
      origin.silent += 1;
      origin.running += 1;
      call.on('cancelled', () => {
        origin.running -= 1;
      });
    },
  });
  origin.port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
  t.after(() => server.forceShutdown());
  return origin;
}

async function open(t: TestContext, protocol: 'http2' | 'quic'): Promise<{ client: Client; origin: Origin }> {
  const origin = await startServer(t);
  const { world, tunnel } = await openWorld(t, `h2c://127.0.0.1:${origin.port}`, { protocol });
  const client = new Client(`127.0.0.1:${world.httpsPort}`, credentials.createSsl(Buffer.from(world.edge.caPem)), {
    'grpc.ssl_target_name_override': tunnel.host,
    'grpc.default_authority': tunnel.host,
    'grpc.enable_retries': 0,
  });
  t.after(() => client.close());
  return { client, origin };
}

interface Result {
  readonly answer: string | undefined;
  readonly error: ServiceError | null;
  readonly head: Metadata;
  readonly trailers: Metadata;
}

function unary(client: Client, kind: 'unary' | 'silent', text: string, options: CallOptions = {}): Promise<Result> {
  return new Promise(resolve => {
    const metadata = new Metadata();
    metadata.set('token', 't1');
    let head = new Metadata();
    let result: Pick<Result, 'answer' | 'error'> | undefined;
    let trailers: Metadata | undefined;
    const settle = (): void => {
      if (result !== undefined && trailers !== undefined) resolve({ ...result, head, trailers });
    };
    const call = client.makeUnaryRequest(
      service[kind].path,
      encode,
      decode,
      text,
      metadata,
      options,
      (error: ServiceError | null, answer?: string) => {
        result = { answer, error };
        settle();
      },
    );
    call.on('metadata', (given: Metadata) => {
      head = given;
    });
    call.on('status', ({ metadata: given }) => {
      trailers = given;
      settle();
    });
  });
}

/** Everything a streaming call brings, and its status at the end. */
function collect(
  call: ClientReadableStream<string> | ClientDuplexStream<string, string> | ClientUnaryCall,
): Promise<{ texts: string[]; code: number; details: string; trailers: Metadata }> {
  const texts: string[] = [];
  const events: EventEmitter = call;
  events.on('data', (text: string) => texts.push(text));
  events.on('error', () => undefined);
  return new Promise(resolve => {
    const settle = ({ code, details, metadata }: StatusObject): void =>
      resolve({ texts, code, details, trailers: metadata });
    events.on('status', settle);
  });
}

for (const protocol of ['http2', 'quic'] as const) {
  describe(`gRPC over ${protocol}`, () => {
    it('unary calls carry metadata, answer, trailers and errors', async t => {
      const { client } = await open(t, protocol);
      const good = await within('the answer', unary(client, 'unary', 'hello'));
      assert.equal(good.error, null);
      assert.equal(good.answer, 'echo hello');
      assert.deepEqual(good.head.get('seen'), ['t1']);
      assert.deepEqual(good.trailers.get('sum'), ['abc']);
      assert.deepEqual(good.trailers.get('raw-bin'), [Buffer.from([0, 255, 7])]);
      // The server answers with trailers alone.
      const refused = await within('the refusal', unary(client, 'unary', 'refuse'));
      assert.equal(refused.error?.code, status.PERMISSION_DENIED);
      assert.equal(refused.error?.details, 'not you, \u00e9migr\u00e9');
      assert.deepEqual(refused.trailers.get('sum'), ['abc']);
      // Nobody serves this method: trailers alone as well.
      const unknown = new Promise<ServiceError | null>(resolve =>
        client.makeUnaryRequest('/test.Echo/Nothing', encode, decode, 'x', error => resolve(error)),
      );
      assert.equal((await within('the refusal', unknown))?.code, status.UNIMPLEMENTED);
    });

    it('streams to the server, from it and both ways', async t => {
      const { client } = await open(t, protocol);
      const upload = new Promise<string | undefined>((resolve, reject) => {
        const call = client.makeClientStreamRequest(service.upload.path, encode, decode, (error, text?: string) => {
          if (error === null) resolve(text);
          else reject(error);
        });
        for (let index = 0; index < 200; index += 1) call.write('y'.repeat(10_000));
        call.end();
      });
      assert.equal(await within('the upload', upload), '2000000');

      const download = await within(
        'the download',
        collect(client.makeServerStreamRequest(service.download.path, encode, decode, 'all')),
      );
      assert.equal(download.texts.length, 100);
      assert.deepEqual([download.code, download.trailers.get('sum')], [status.OK, ['abc']]);

      const chat = client.makeBidiStreamRequest(service.chat.path, encode, decode);
      const end = collect(chat);
      for (let index = 0; index < 10; index += 1) {
        chat.write(`line ${index}`);
        // Each line comes back before the next is sent: nothing on the way waits for more.
        await within(`echo ${index}`, once(chat, 'data'));
      }
      chat.end();
      const { texts, code, trailers } = await within('the end of the chat', end);
      assert.equal(texts.at(-1), 'echo line 9');
      assert.deepEqual([texts.length, code, trailers.get('sum')], [10, status.OK, ['abc']]);
    });

    it('errors come in the middle of an answer, and before the request has ended', async t => {
      const { client } = await open(t, protocol);
      const download = await within(
        'the download',
        collect(client.makeServerStreamRequest(service.download.path, encode, decode, 'fail')),
      );
      assert.deepEqual(
        [download.texts.length, download.code, download.details],
        [100, status.DATA_LOSS, 'lost the rest'],
      );
      for (let round = 0; round < 10; round += 1) {
        const fussy = client.makeBidiStreamRequest(service.fussy.path, encode, decode);
        const end = collect(fussy);
        // The client does not end its side: the error has to come all the same.
        for (let index = 0; index < 20; index += 1) fussy.write('z'.repeat(1_000));
        const { code, details } = await within('the error', end);
        assert.deepEqual([code, details], [status.INVALID_ARGUMENT, 'no more of this']);
      }
    });

    it('deadlines and cancels end the call at the server', async t => {
      const { client, origin } = await open(t, protocol);
      assert.equal((await unary(client, 'unary', 'connect')).error, null);
      const late = await within('the deadline', unary(client, 'silent', 'wait', { deadline: Date.now() + 1_000 }));
      assert.equal(late.error?.code, status.DEADLINE_EXCEEDED);
      await until('the server to hear of the deadline', () => origin.running === 0);
      const before = origin.silent;
      const call = client.makeUnaryRequest(service.silent.path, encode, decode, 'wait', () => undefined);
      const end = collect(call);
      await until('the call to reach the server', () => origin.silent > before);
      call.cancel();
      assert.equal((await within('the cancel', end)).code, status.CANCELLED);
      await until('the server to hear of the cancel', () => origin.running === 0);
    });
  });
}
