import { PosternError } from '../../internal/errors/error.ts';
import { transportConformance } from '../conformance/transport.ts';
import { openMemoryPair } from './memory-transport.ts';

transportConformance(
  'memory',
  () => {
    const pair = openMemoryPair();
    const close = (): Promise<void> => {
      pair.edge.abort(new PosternError('connection.closed', 'The test is over.'));
      return pair.edge.closed.then(() => undefined);
    };
    return Promise.resolve({ ...pair, vanish: undefined, close });
  },
  { datagrams: true },
);
