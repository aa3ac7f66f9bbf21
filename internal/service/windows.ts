// Windows: a task of the Task Scheduler that starts with the machine and again when it fails. The service control manager takes
// only programs that answer its calls, which Node does not. Never run on a real Windows. Source: Task Scheduler schema,
// schtasks, icacls.

import { win32 } from 'node:path';
import {
  configFiles,
  type ServicePaths,
  type ServicePlatform,
  type ServiceSpec,
  secretFiles,
  serviceArguments,
  serviceTitle,
  unnamed,
} from './service.ts';
import { escapeXml } from './xml.ts';

const directory = 'C:\\ProgramData\\postern';
const label = (name: string | undefined): string => (name === undefined ? 'Postern' : `Postern ${name}`);

function paths(name: string | undefined): ServicePaths {
  const prefix = name === undefined ? '' : `${name}.`;
  return {
    definition: win32.join(directory, `${prefix}task.xml`),
    token: win32.join(directory, `${prefix}token`),
    config: win32.join(directory, `${prefix}config.yml`),
    state: win32.join(directory, name ?? unnamed),
  };
}

const logOf = (name: string | undefined): string =>
  win32.join(directory, `${name === undefined ? '' : `${name}.`}postern.log`);

export const windows: ServicePlatform = {
  id: 'windows',
  needsAdmin: true,
  label,
  paths,
  define(spec) {
    const where = paths(spec.name);
    const task = label(spec.name);
    // Owner and inheritance aside, SYSTEM and the administrators alone.
    const lock = ['icacls', where.token, '/inheritance:r', '/grant:r', '*S-1-5-18:F', '*S-1-5-32-544:F'];
    return {
      files: [
        ...secretFiles(spec, where),
        ...configFiles(spec, where),
        { path: where.definition, text: taskText(spec), mode: 0o644, encoding: 'utf16le' },
      ],
      links: {},
      commands: [
        ...(spec.secret?.kind === 'token' ? [{ words: lock, live: true }] : []),
        { words: ['schtasks', '/Create', '/TN', task, '/XML', where.definition], live: true },
        { words: ['schtasks', '/Run', '/TN', task], live: true, starts: true },
      ],
    };
  },
  removal(name) {
    const { definition, token } = paths(name);
    return {
      before: [
        { words: ['schtasks', '/End', '/TN', label(name)], live: true, mayFail: true },
        { words: ['schtasks', '/Delete', '/F', '/TN', label(name)], live: true, mayFail: true },
      ],
      files: [definition, token],
      after: [],
    };
  },
  status: name => ['schtasks', '/Query', '/V', '/FO', 'LIST', '/TN', label(name)],
  logs: (name, { lines, follow }) => [
    ...['powershell', '-NoProfile', '-Command', 'Get-Content', '-Tail', String(lines)],
    ...[...(follow ? ['-Wait'] : []), '-LiteralPath', `'${logOf(name)}'`],
  ],
};

function taskText(spec: ServiceSpec): string {
  const [program = '', ...first] = spec.program;
  // Nothing takes what a task prints.
  const flags = ['--logfile', logOf(spec.name), ...spec.flags];
  const words = [...first, ...serviceArguments({ ...spec, flags }, paths(spec.name), { secretByFlag: true })];
  // S-1-5-18 is SYSTEM.
  const user = spec.user === undefined ? '<UserId>S-1-5-18</UserId>' : `<UserId>${escapeXml(spec.user)}</UserId>`;
  return `\ufeff<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>${escapeXml(serviceTitle(spec))}</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger><Enabled>true</Enabled></BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Service">${user}<RunLevel>HighestAvailable</RunLevel></Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Service">
    <Exec>
      <Command>${escapeXml(program)}</Command>
      <Arguments>${escapeXml(words.map(windowsWord).join(' '))}</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}

/** One argument of a command line, as CommandLineToArgvW reads it. */
function windowsWord(text: string): string {
  if (text !== '' && !/[\s"]/.test(text)) return text;
  return `"${text.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
}
