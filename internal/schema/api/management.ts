// What an access token of the management host is for. Source: docs/protocol/commands-and-api.md §6, §9.3.

/** `admin` is everything. */
export const managementResources = ['logs', 'admin', 'host_details'] as const;
export type ManagementResource = (typeof managementResources)[number];
