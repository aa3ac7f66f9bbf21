// Groups of commands, which are no commands themselves.

/** Groups of commands: what the help says of them. */
export const groups: Readonly<Record<string, string>> = {
  '': 'Publish services that sit behind a firewall',
  device: 'Machines of users, which come into private networks',
  edge: 'Run an edge node, move what it keeps, and print the token for its ways into private networks',
  'edge store': 'Move what an edge keeps between databases',
  group: 'Groups of users',
  management: 'Ask connectors through the edge',
  profile: 'API credentials of several edges and accounts',
  service: 'Run as a service of this machine',
  token: 'API tokens; the token of a tunnel is "postern tunnel token"',
  tunnel: 'Run and manage tunnels',
  'tunnel config': 'The config file: write, check and show it, move it to the edge and back',
  'tunnel ingress': 'Check and try ingress rules',
  'tunnel lb': 'Load balancers: host names that several tunnels serve',
  'tunnel pool': 'Pools of tunnels and addresses behind load balancers',
  'tunnel route': 'Lead host names and private networks to tunnels',
  'tunnel route hostname': 'Private host names, resolved at the connector',
  'tunnel route ip': 'Private networks by address',
  'tunnel vnet': 'Virtual networks: sets of private routes that may overlap',
  user: 'Users of the account',
};
