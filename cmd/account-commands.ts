// Commands on accounts: users, groups, devices, API tokens, logins and the audit log; a part of the registry (commands.ts).

import type { CommandEntry } from './command-entry.ts';

export const accountCommands: readonly CommandEntry[] = [
  {
    path: 'audit',
    summary: 'Show who changed what, and when',
    inherits: 'tunnel',
    load: () => import('./audit.ts'),
  },
  {
    path: 'device add',
    summary: 'Add a machine of a user',
    inherits: 'tunnel',
    load: () => import('./device/add.ts'),
  },
  {
    path: 'device list',
    summary: 'List the machines of users',
    inherits: 'tunnel',
    load: () => import('./device/list.ts'),
  },
  {
    path: 'device remove',
    summary: 'Remove a machine, and cut what it runs',
    inherits: 'tunnel',
    load: () => import('./device/remove.ts'),
  },
  {
    path: 'group add',
    summary: 'Add a group of users',
    inherits: 'tunnel',
    load: () => import('./group/add.ts'),
  },
  {
    path: 'group add-member',
    summary: 'Put a user into a group',
    inherits: 'tunnel',
    load: () => import('./group/add-member.ts'),
  },
  {
    path: 'group list',
    summary: 'List the groups and their members',
    inherits: 'tunnel',
    load: () => import('./group/list.ts'),
  },
  {
    path: 'group remove',
    summary: 'Remove a group',
    inherits: 'tunnel',
    load: () => import('./group/remove.ts'),
  },
  {
    path: 'group remove-member',
    summary: 'Take a user out of a group',
    inherits: 'tunnel',
    load: () => import('./group/remove-member.ts'),
  },
  {
    path: 'login',
    summary: 'Log in to an edge',
    hidden: true,
    inherits: 'tunnel',
    load: () => import('./tunnel/login.ts'),
  },
  {
    path: 'profile list',
    summary: 'List the API credentials that are kept under a name',
    inherits: 'log',
    load: () => import('./profile/list.ts'),
  },
  {
    path: 'profile use',
    summary: 'Choose the API credential that commands use',
    inherits: 'log',
    load: () => import('./profile/use.ts'),
  },
  {
    path: 'token create',
    summary: 'Create an API token',
    inherits: 'tunnel',
    load: () => import('./token/create.ts'),
  },
  {
    path: 'token list',
    summary: 'List the API tokens of the account',
    inherits: 'tunnel',
    load: () => import('./token/list.ts'),
  },
  {
    path: 'token revoke',
    summary: 'Revoke an API token, and cut what runs with it',
    inherits: 'tunnel',
    load: () => import('./token/revoke.ts'),
  },
  {
    path: 'tunnel login',
    summary: 'Log in to an edge',
    inherits: 'tunnel',
    load: () => import('./tunnel/login.ts'),
  },
  {
    path: 'user add',
    summary: 'Add a user, and print a code for the first login',
    inherits: 'tunnel',
    load: () => import('./user/add.ts'),
  },
  {
    path: 'user invite',
    summary: 'Print another login code for a user',
    inherits: 'tunnel',
    load: () => import('./user/invite.ts'),
  },
  {
    path: 'user list',
    summary: 'List the users of the account',
    inherits: 'tunnel',
    load: () => import('./user/list.ts'),
  },
  {
    path: 'user remove',
    summary: 'Remove a user with devices and tokens',
    inherits: 'tunnel',
    load: () => import('./user/remove.ts'),
  },
  {
    path: 'whoami',
    summary: 'Show whom commands act for',
    inherits: 'tunnel',
    load: () => import('./whoami.ts'),
  },
];
