// Calls about the certificates of an edge; a part of the one table (routes.ts).

import * as z from 'zod';
import { certificateSchema } from '../schema/api/certificate.ts';
import { nothingSchema as none } from '../schema/api/common.ts';
import { route } from './route.ts';

export const certificateRoutes = {
  /** Those of names of the account; the operator's account sees those of the edge itself too. */
  listCertificates: route({
    ...{ method: 'GET', path: '/accounts/{account}/certificates', op: 'list certificates', query: none, body: none },
    paged: false,
    result: z.array(certificateSchema),
  }),
};
