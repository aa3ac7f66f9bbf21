// Opens a page in the browser of whoever runs the command, where there is one.

import { spawn } from 'node:child_process';
import type { CommandContext } from './context.ts';

/** Does nothing where there is no browser; whoever calls it shows the URL too. The URL must be http or https. */
export function openBrowser(url: string, { env, platform, stderrIsTerminal }: CommandContext): void {
  const opener = openerOf(platform, env);
  if (opener === undefined || !stderrIsTerminal) return;
  const [file, ...args] = opener;
  const child = spawn(file, [...args, url], { stdio: 'ignore', detached: true });
  // The program is not there: the person opens the page by hand.
  child.on('error', () => undefined);
  child.unref();
}

function openerOf(
  platform: NodeJS.Platform,
  env: CommandContext['env'],
): readonly [file: string, ...args: string[]] | undefined {
  if (platform === 'darwin') return ['open'];
  // Not through a shell, which would read the URL.
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler'];
  return env.DISPLAY || env.WAYLAND_DISPLAY ? ['xdg-open'] : undefined;
}
