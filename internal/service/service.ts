// What a service is, apart from the system that runs it, and the seam to those systems: each turns a service into files and
// commands, as data. install.ts writes and runs them. Source: docs/protocol/commands-and-api.md §11.

/** The secret a connector needs. Its text goes into a file of root's alone, never into a definition or a command line. */
export type ServiceSecret =
  | { readonly kind: 'token'; readonly text: string }
  /** A credentials file that is there already; an absolute path. */
  | { readonly kind: 'credentials'; readonly path: string };

export interface ServiceSpec {
  /** Undefined for the one without a name. */
  readonly name: string | undefined;
  readonly kind: 'connector' | 'edge';
  /** Words that start this program: its path, or Node's and the script's. */
  readonly program: readonly string[];
  /** Further flags of `tunnel` or `edge run`, as words; no secrets. */
  readonly flags: readonly string[];
  readonly secret: ServiceSecret | undefined;
  /** Text of the config file, which the service gets a copy of. */
  readonly config: string | undefined;
  /** The user it runs as; undefined leaves the choice to the system. */
  readonly user: string | undefined;
  /** Whether `program` looks for newer releases of itself: the service cannot, where it may not write its own program. */
  readonly updates?: boolean;
}

/** Where an instance has its things; absolute. */
export interface ServicePaths {
  readonly definition: string;
  readonly token: string;
  readonly config: string;
  /** State of an edge. */
  readonly state: string;
}

export interface ServiceFile {
  readonly path: string;
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
  /** Default UTF-8. */
  readonly encoding?: 'utf16le';
}

export interface ServiceCommand {
  readonly words: readonly string[];
  /** Asks a service manager at work: left out when services are put into the files of another system. */
  readonly live: boolean;
  /** Its failure means nothing: what it undoes may not be there. */
  readonly mayFail?: boolean;
  /** Its failure leaves the service installed: it did not start. */
  readonly starts?: boolean;
}

/** What installing writes and runs, in this order. */
export interface ServiceDefinition {
  readonly files: readonly ServiceFile[];
  /** Symbolic links by path. */
  readonly links: Readonly<Record<string, string>>;
  readonly commands: readonly ServiceCommand[];
}

/** What uninstalling runs and removes; configuration and state stay. */
export interface ServiceRemoval {
  readonly before: readonly ServiceCommand[];
  readonly files: readonly string[];
  readonly after: readonly ServiceCommand[];
}

/** Facts of the system that definitions depend on. */
export interface ServiceSystem {
  /** Folder that stands for `/`; '' is this machine itself. */
  readonly root: string;
  readonly homeDir: string;
  readonly isAdmin: boolean;
  readonly uid: number;
}

/** One kind of service manager; what it says is about instances by name, undefined for the one without. */
export interface ServicePlatform {
  readonly id: 'systemd' | 'openrc' | 'sysv' | 'launchd' | 'windows';
  /** Whether only root may install. */
  readonly needsAdmin: boolean;
  /** What the manager calls an instance. */
  label(name: string | undefined): string;
  paths(name: string | undefined, system: ServiceSystem): ServicePaths;
  define(spec: ServiceSpec, system: ServiceSystem): ServiceDefinition;
  removal(name: string | undefined, system: ServiceSystem): ServiceRemoval;
  status(name: string | undefined, system: ServiceSystem): readonly string[];
  logs(
    name: string | undefined,
    options: { readonly lines: number; readonly follow: boolean },
    system: ServiceSystem,
  ): readonly string[];
}

/** Name and folder of the instance without a name. */
export const unnamed = 'default';

/** The words after the program's: `tunnel --config FILE run --token-file FILE`. */
export function serviceArguments(
  spec: ServiceSpec,
  paths: ServicePaths,
  options: { readonly secretByFlag: boolean },
): string[] {
  const { flags, secret } = spec;
  if (spec.kind === 'edge') {
    const hasState = flags.some(word => /^--?state-dir(=|$)/.test(word));
    return ['edge', 'run', ...(hasState ? [] : ['--state-dir', paths.state]), ...flags];
  }
  const config = spec.config === undefined ? [] : ['--config', paths.config];
  const file = secret?.kind === 'token' ? ['--token-file', paths.token] : ['--credentials-file', secret?.path ?? ''];
  return ['tunnel', ...config, ...flags, 'run', ...(options.secretByFlag && secret !== undefined ? file : [])];
}

/** The text for people: `Postern connector (home)`. */
export function serviceTitle({ kind, name }: Pick<ServiceSpec, 'kind' | 'name'>): string {
  return `Postern ${kind}${name === undefined ? '' : ` (${name})`}`;
}

/** Whether the service reads anything again at SIGHUP; a connector without a config file ends at that signal. */
export function takesReload({ kind, config }: Pick<ServiceSpec, 'kind' | 'config'>): boolean {
  return kind === 'edge' || config !== undefined;
}

/** Files of root's alone. */
export function secretFiles(spec: ServiceSpec, paths: ServicePaths): readonly ServiceFile[] {
  return spec.secret?.kind === 'token' ? [{ path: paths.token, text: `${spec.secret.text}\n`, mode: 0o600 }] : [];
}

/** The copy of the config file, which has no secrets and which the service's user reads. */
export function configFiles(spec: ServiceSpec, paths: ServicePaths): readonly ServiceFile[] {
  return spec.config === undefined ? [] : [{ path: paths.config, text: spec.config, mode: 0o644 }];
}
