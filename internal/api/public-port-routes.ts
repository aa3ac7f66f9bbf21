// Calls about public ports; a part of the one table (routes.ts).

import * as z from 'zod';
import { nothingSchema as none } from '../schema/api/common.ts';
import { createPublicPortSchema, publicPortSchema } from '../schema/api/public-port.ts';
import { route } from './route.ts';

const ports = '/accounts/{account}/public_ports';
const port = `${ports}/{id}` as const;

export const publicPortRoutes = {
  listPublicPorts: route({
    ...{ method: 'GET', path: ports, op: 'list public ports', query: none, body: none, paged: false },
    result: z.array(publicPortSchema),
  }),
  addPublicPort: route({
    ...{ method: 'POST', path: ports, op: 'add public port', query: none, paged: false },
    ...{ body: createPublicPortSchema, result: publicPortSchema },
  }),
  deletePublicPort: route({
    ...{ method: 'DELETE', path: port, op: 'delete public port', query: none, body: none, paged: false },
    result: publicPortSchema,
  }),
} as const;
