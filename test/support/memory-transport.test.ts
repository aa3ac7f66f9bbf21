import { transportConformance } from '../../../test/conformance/transport.ts';
import { PosternError } from '../../errors/error.ts';
import { openMemoryPair } from './pair.ts';

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
