// The schema of the edge's database as the steps that led to it; `user_version` counts the steps taken. A step is never
// edited once released: the next change is a new step.

export const migrations: readonly string[] = [
  `
  CREATE TABLE accounts (
    tag TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE zones (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    domain TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE api_tokens (
    digest BLOB PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    label TEXT NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tunnels (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    name TEXT NOT NULL,
    secret_hash BLOB,
    secret_sealed BLOB,
    created_ms INTEGER NOT NULL,
    deleted_ms INTEGER,
    config TEXT,
    config_version INTEGER NOT NULL DEFAULT 0,
    config_ms INTEGER,
    CHECK ((deleted_ms IS NULL) = (secret_hash IS NOT NULL))
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX tunnels_live_name ON tunnels (account_tag, name) WHERE deleted_ms IS NULL;
  CREATE INDEX tunnels_created ON tunnels (account_tag, created_ms);

  CREATE TABLE hostnames (
    hostname TEXT PRIMARY KEY,
    tunnel_id TEXT NOT NULL REFERENCES tunnels ON DELETE CASCADE,
    account_tag TEXT NOT NULL REFERENCES accounts,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX hostnames_tunnel ON hostnames (tunnel_id);

  CREATE TABLE quick_tunnels (
    tunnel_id TEXT PRIMARY KEY REFERENCES tunnels ON DELETE CASCADE,
    hostname TEXT NOT NULL UNIQUE,
    client_address TEXT NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE networks (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    name TEXT NOT NULL,
    comment TEXT NOT NULL,
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    created_ms INTEGER NOT NULL,
    deleted_ms INTEGER,
    CHECK (is_default = 0 OR deleted_ms IS NULL)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX networks_live_name ON networks (account_tag, name) WHERE deleted_ms IS NULL;
  CREATE UNIQUE INDEX networks_default ON networks (account_tag) WHERE is_default = 1;

  CREATE TABLE ip_routes (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    network_id TEXT NOT NULL REFERENCES networks ON DELETE CASCADE,
    prefix TEXT NOT NULL,
    tunnel_id TEXT NOT NULL REFERENCES tunnels ON DELETE CASCADE,
    comment TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    deleted_ms INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX ip_routes_live ON ip_routes (network_id, prefix) WHERE deleted_ms IS NULL;
  CREATE INDEX ip_routes_tunnel ON ip_routes (tunnel_id);

  CREATE TABLE private_hostnames (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    network_id TEXT NOT NULL REFERENCES networks ON DELETE CASCADE,
    hostname TEXT NOT NULL,
    tunnel_id TEXT NOT NULL REFERENCES tunnels ON DELETE CASCADE,
    comment TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    deleted_ms INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX private_hostnames_live ON private_hostnames (network_id, hostname) WHERE deleted_ms IS NULL;
  CREATE INDEX private_hostnames_tunnel ON private_hostnames (tunnel_id);
  `,
  `
  CREATE TABLE users (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (account_tag, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE groups (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (account_tag, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES groups ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX group_members_user ON group_members (user_id);

  CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (account_tag, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX devices_user ON devices (user_id);

  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    account_tag TEXT NOT NULL REFERENCES accounts,
    user_id TEXT REFERENCES users ON DELETE CASCADE,
    device_id TEXT REFERENCES devices ON DELETE CASCADE,
    label TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tokens_account ON tokens (account_tag, created_ms);
  CREATE INDEX tokens_user ON tokens (user_id);
  CREATE INDEX tokens_device ON tokens (device_id);
  INSERT INTO tokens (id, digest, account_tag, label, scopes, created_ms)
    SELECT lower(hex(randomblob(16))), digest, account_tag, label, 'all', created_ms FROM api_tokens;
  DROP TABLE api_tokens;

  CREATE TABLE login_codes (
    digest BLOB PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE REFERENCES users ON DELETE CASCADE,
    expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_tag TEXT NOT NULL REFERENCES accounts,
    at_ms INTEGER NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    token_id TEXT NOT NULL,
    token_name TEXT NOT NULL,
    address TEXT NOT NULL,
    before TEXT,
    after TEXT
  ) STRICT;
  CREATE INDEX audit_account ON audit (account_tag, id);
  `,
  `
  ALTER TABLE tunnels ADD COLUMN remote INTEGER NOT NULL DEFAULT 0 CHECK (remote IN (0, 1));
  UPDATE tunnels SET remote = 1 WHERE config_version > 0;

  ALTER TABLE hostnames ADD COLUMN id TEXT NOT NULL DEFAULT '';
  ALTER TABLE hostnames ADD COLUMN comment TEXT NOT NULL DEFAULT '';
  ALTER TABLE hostnames ADD COLUMN modified_ms INTEGER NOT NULL DEFAULT 0;
  UPDATE hostnames SET id = lower(hex(randomblob(16))), modified_ms = created_ms;
  CREATE UNIQUE INDEX hostnames_id ON hostnames (id);
  `,
  `
  CREATE TABLE balancing (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('monitor', 'pool', 'balancer')),
    account_tag TEXT NOT NULL REFERENCES accounts,
    zone_id TEXT REFERENCES zones,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    CHECK ((kind = 'balancer') = (zone_id IS NOT NULL))
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX balancing_name ON balancing (account_tag, kind, name);
  CREATE UNIQUE INDEX balancing_hostname ON balancing (name) WHERE kind = 'balancer';

  CREATE TABLE balancing_uses (
    user_id TEXT NOT NULL REFERENCES balancing ON DELETE CASCADE,
    used_id TEXT NOT NULL REFERENCES balancing,
    PRIMARY KEY (user_id, used_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX balancing_used ON balancing_uses (used_id);
  `,
  `
  ALTER TABLE tunnels ADD COLUMN old_secret_hash BLOB;
  ALTER TABLE tunnels ADD COLUMN old_secret_until_ms INTEGER;
  `,
  `
  CREATE TABLE public_ports (
    id TEXT PRIMARY KEY,
    account_tag TEXT NOT NULL REFERENCES accounts,
    protocol TEXT NOT NULL CHECK (protocol IN ('tcp', 'udp')),
    port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    tunnel_id TEXT NOT NULL REFERENCES tunnels,
    document TEXT NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX public_ports_port ON public_ports (protocol, port);
  CREATE INDEX public_ports_tunnel ON public_ports (tunnel_id);
  CREATE INDEX public_ports_account ON public_ports (account_tag);
  `,
  `
  ALTER TABLE hostnames ADD COLUMN tls TEXT NOT NULL DEFAULT 'terminate'
    CHECK (tls IN ('terminate', 'passthrough', 'passthrough-v1', 'passthrough-v2'));
  `,
  `
  CREATE TABLE authority_accounts (
    authority TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    sealed_key BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE certificates (
    authority TEXT NOT NULL,
    name TEXT NOT NULL,
    account_tag TEXT NOT NULL REFERENCES accounts,
    chain TEXT,
    sealed_key BLOB,
    issued_ms INTEGER,
    expires_ms INTEGER,
    attempted_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    problem TEXT,
    PRIMARY KEY (authority, name),
    CHECK ((chain IS NULL) = (sealed_key IS NULL))
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE certificate_orders (
    authority TEXT NOT NULL,
    account_tag TEXT NOT NULL REFERENCES accounts,
    at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX certificate_orders_time ON certificate_orders (authority, at_ms);
  `,
  `
  ALTER TABLE tokens ADD COLUMN parent_id TEXT;
  CREATE INDEX tokens_parent ON tokens (parent_id);
  ALTER TABLE login_codes ADD COLUMN maker_id TEXT;
  ALTER TABLE login_codes ADD COLUMN token_expires_ms INTEGER;
  CREATE INDEX login_codes_maker ON login_codes (maker_id);
  `,
];

/** The schema of the file that says which edges run on the state directory, and which tunnels are connected to them. */
export const presenceMigrations: readonly string[] = [
  `
  CREATE TABLE edges (
    id TEXT PRIMARY KEY,
    beat INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE clients (
    edge_id TEXT NOT NULL REFERENCES edges ON DELETE CASCADE,
    tunnel_id TEXT NOT NULL,
    clients TEXT NOT NULL,
    PRIMARY KEY (edge_id, tunnel_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX clients_tunnel ON clients (tunnel_id);
  `,
  `
  CREATE TABLE token_uses (
    token_id TEXT PRIMARY KEY,
    used_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE activity (
    tunnel_id TEXT PRIMARY KEY,
    active_ms INTEGER NOT NULL,
    inactive_ms INTEGER
  ) STRICT, WITHOUT ROWID;
  `,
];
