// The store contract over PostgreSQL, and what only PostgreSQL has to show.

import { after, it } from 'node:test';
import { describeBalancingContract } from '../../../test/conformance/store/balancing-contract.ts';
import { describeChangeContract } from '../../../test/conformance/store/change-contract.ts';
import { describePeopleContract } from '../../../test/conformance/store/people-contract.ts';
import { describePresenceContract } from '../../../test/conformance/store/presence-contract.ts';
import { describeStoreContract, type StorePlace } from '../../../test/conformance/store/store-contract.ts';
import { noPostgres, startPostgres } from '../../../test/support/postgres.ts';
import { openPostgresStore } from './postgres-store.ts';
import { parsePostgresUrl } from './server.ts';

const postgres = await startPostgres();
after(() => postgres?.stop());

if (postgres === undefined) it.skip(noPostgres);
else {
  const createPlace = async (): Promise<StorePlace> => {
    const database = await postgres.createDatabase();
    const server = parsePostgresUrl(postgres.urlWithPassword(database));
    return {
      open: () => openPostgresStore({ server, pollIntervalMs: 20, now: () => 1000 }),
      // The server goes with all of them: dropping one costs more than a test.
      discard: async () => undefined,
    };
  };
  describeStoreContract('postgres', createPlace);
  describePresenceContract('postgres', createPlace);
  describeBalancingContract('postgres', createPlace);
  describePeopleContract('postgres', createPlace);
  describeChangeContract('postgres', createPlace);
}
