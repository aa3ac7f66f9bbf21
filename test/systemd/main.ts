// `npm run test:systemd`: services and packages on a systemd at work. Takes root, and some minutes the first time; not part of
// `npm test`.

import './services.ts';
import './package.ts';
