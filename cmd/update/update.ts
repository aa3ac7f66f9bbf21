// `postern update`: the newest release in place of this program. Exit codes: 11 when it was updated, 10 when that failed, 0 when
// there was nothing to do. Source: docs/protocol/commands-and-api.md §1, §12.

import { PosternError } from '../../internal/errors/error.ts';
import { findPackageOwner } from '../../internal/update/package-owner.ts';
import { requireHttps, updateProgram } from '../../internal/update/update-program.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { version } from '../version-line.ts';
import { binaryPath, updateSource } from './own-build.ts';

const updatedCode = 11;

/** What `--output` prints. */
export interface UpdateReport {
  /** The version in place now. */
  readonly version: string;
  readonly updated: boolean;
  /** Who updates it instead: a package manager, by name. */
  readonly owner?: string;
}

export const command = defineCommand({
  description:
    'Fetches the newest release, checks that its publisher signed it and that it comes up on this machine, and puts it in ' +
    'place of this program. The earlier program stays beside it as postern.old. What runs goes on as it is: restart it, or ' +
    'leave that to `tunnel run`, which looks for releases every --autoupdate-freq. Exits with 11 when there is a new ' +
    'program, with 0 when this is the newest, with 10 when it failed.',
  flags: [
    { name: 'version', type: 'string', valueName: 'VERSION', description: 'This version instead of the newest' },
    { name: 'beta', type: 'boolean', description: 'The newest may be a candidate, such as 1.2.0-beta.1' },
    { name: 'force', type: 'boolean', description: 'With --version: an older one too, or the same again' },
    {
      name: 'url',
      type: 'string',
      env: ['POSTERN_UPDATE_URL'],
      valueName: 'URL',
      description:
        'List of releases to read instead of the publisher’s: a mirror, whose signatures must be the publisher’s',
    },
    { name: 'staging', type: 'boolean', hidden: true, inert: 'ignored', description: 'Accepted without effect' },
    outputFlag,
  ],
  examples: [
    ['postern update', 'The newest release'],
    ['postern update --version 1.2.0', 'A certain one'],
  ],
  run: async ({ flags }, context) => {
    const format = parseOutputFormat(flags.output);
    const report = (done: UpdateReport, text: string): void => {
      if (format === undefined) context.stdout.write(`${text}\n`);
      else writeFormatted(context, format, done);
    };
    if (flags.force && flags.version === undefined)
      throw new PosternError('usage.invalid', '--force goes with --version VERSION');
    const { env, platform, program } = context;
    const binary = binaryPath(context);
    const owner = await findPackageOwner({ path: binary ?? program.at(-1) ?? '', platform, env });
    if (owner !== undefined) {
      report(
        { version, updated: false, owner: owner.name },
        `Postern was installed by ${owner.name}. Please update using the same method: ${owner.remedy}`,
      );
      return 0;
    }
    if (binary === undefined) {
      throw new PosternError(
        'update.failed',
        `This Postern is files that Node runs, ${program.at(-1)}; only the single binary is updated by itself. ` +
          'Fetch the files anew, or use git pull in a checkout',
      );
    }
    if (updateSource === undefined) {
      throw new PosternError(
        'update.failed',
        'This program was made without a place for releases (npm run package -- --release-key …): fetch a new one by hand',
      );
    }
    const url = flags.url || updateSource.url;
    requireHttps(url);
    const result = await updateProgram({
      source: { ...updateSource, url },
      ...{ path: binary, target: `${platform}-${process.arch}`, env },
      ...{ current: version, wanted: flags.version, preReleases: flags.beta, force: flags.force },
      onStep: text => context.stderr.write(`${text}\n`),
    });
    if (result.old === undefined) {
      report({ version, updated: false }, `postern ${version} is up to date`);
      return 0;
    }
    report(
      { version: result.version, updated: true },
      `Updated Postern from ${version} to ${result.version}. The earlier program is ${result.old}`,
    );
    return updatedCode;
  },
});
