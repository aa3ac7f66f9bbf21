// Quick tunnels: a name from the edge for one service, without an account.

import { openVisitedOrigin } from '../visited-origin.ts';
import { Lab, registered } from './lab.ts';
import type { Scenario } from './scenario.ts';
import { checkVisits } from './visit.ts';

export const quickScenarios: readonly Scenario[] = (['http2', 'quic'] as const).map(protocol => ({
  name: `a quick tunnel over ${protocol}`,
  run: async stage => {
    const lab = await Lab.open(stage);
    const origin = await openVisitedOrigin(stage);
    const connector = lab.start([
      ...['tunnel', ...lab.edgeFlags(1), '--protocol', protocol],
      ...['--quick-service', lab.quickServiceUrl, '--url', `http://127.0.0.1:${origin}`],
    ]);
    await registered(connector, 1);
    const [host] = await connector.logged(/[a-z]+-[a-z]+-[a-z]+-\d+\.localhost/);
    await checkVisits(lab, host);
  },
}));
