// docs/openapi.json: the description of every call that an edge with all its features serves.

import { openApiDocument } from '../../internal/api/openapi.ts';
import { apiRoutes } from '../../internal/api/routes.ts';
import { apiBasePath } from '../../internal/control-plane/control-plane.ts';
import { makeQuickTunnel } from '../../internal/features/quick-tunnels/open.ts';

export function openApiText(): string {
  const document = openApiDocument([...Object.values(apiRoutes), makeQuickTunnel], apiBasePath);
  return `${JSON.stringify(document, null, 2)}\n`;
}
