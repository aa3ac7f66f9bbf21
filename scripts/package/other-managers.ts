// Manifests of package managers that fetch the binaries themselves: a Homebrew formula, a winget manifest, a Helm chart with its
// version, a folder for `podman build`. Sources: Homebrew's Formula Cookbook; winget's manifest schema 1.10; helm.sh, "Charts".

import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { manifest } from '../build/package-tree.ts';
import { root } from '../build/root.ts';

const { version, description } = manifest;
/** There is no public home yet. */
const homepage = 'https://postern.example.com';

/** Formula for the binaries that are there; undefined without one for macOS or Linux. `url` is where the folder will be served. */
export function homebrewFormula(binaries: ReadonlyMap<string, string>, url: string): string | undefined {
  const branch = (target: string, word: string): string => {
    const binary = binaries.get(target);
    if (binary === undefined) return '';
    return `    ${word} do\n      url "${url}/${basename(binary)}"\n      sha256 "${sha256(binary)}"\n    end\n`;
  };
  const system = (word: string, arm: string, intel: string): string => {
    const inner = branch(arm, 'on_arm') + branch(intel, 'on_intel');
    return inner === '' ? '' : `  ${word} do\n${inner}  end\n\n`;
  };
  const systems = system('on_macos', 'darwin-arm64', 'darwin-x64') + system('on_linux', 'linux-arm64', 'linux-x64');
  if (systems === '') return undefined;
  return `class Postern < Formula
  desc "Connector and edge that publish services behind a firewall"
  homepage "${homepage}"
  version "${version}"
  license "${manifest.license}"

${systems}  def install
    bin.install Dir["postern-*"].first => "postern"
    # Made elsewhere, it has no signature, without which macOS starts nothing.
    system "codesign", "--force", "--sign", "-", bin/"postern" if OS.mac?
    generate_completions_from_executable(bin/"postern", "completion")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/postern --version")
  end
end
`;
}

/** The three files of a winget manifest by name; undefined without a binary for Windows. */
export function wingetManifest(
  binaries: ReadonlyMap<string, string>,
  url: string,
): Readonly<Record<string, string>> | undefined {
  const binary = binaries.get('win32-x64');
  if (binary === undefined) return undefined;
  const id = 'Postern.Postern';
  const file = (kind: string, lines: readonly string[]): string =>
    [
      `# yaml-language-server: $schema=https://aka.ms/winget-manifest.${kind}.1.10.0.schema.json`,
      `PackageIdentifier: ${id}`,
      `PackageVersion: ${version}`,
      ...lines,
      `ManifestType: ${kind}`,
      'ManifestVersion: 1.10.0',
      '',
    ].join('\n');
  return {
    [`${id}.yaml`]: file('version', ['DefaultLocale: en-US']),
    [`${id}.installer.yaml`]: file('installer', [
      'InstallerType: portable',
      'Commands:',
      '- postern',
      'Installers:',
      '- Architecture: x64',
      `  InstallerUrl: ${url}/${basename(binary)}`,
      `  InstallerSha256: ${sha256(binary).toUpperCase()}`,
    ]),
    [`${id}.locale.en-US.yaml`]: file('defaultLocale', [
      'PackageLocale: en-US',
      'Publisher: Postern',
      `PackageUrl: ${homepage}`,
      'PackageName: Postern',
      `License: ${manifest.license}`,
      `ShortDescription: ${JSON.stringify(description)}`,
    ]),
  };
}

/** The chart in `folder`, with the program's version. */
export function writeChart(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(root, 'packaging/helm/postern'), folder, { recursive: true });
  const chart = join(folder, 'Chart.yaml');
  writeFileSync(chart, readFileSync(chart, 'utf8').replaceAll(/^(version|appVersion): .*$/gm, `$1: ${version}`));
}

/** What `podman build` takes, with the program for Linux of `target`. */
export function writeContainerFolder(folder: string, binary: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(root, 'packaging/container/Containerfile'), join(folder, 'Containerfile'));
  copyFileSync(binary, join(folder, 'postern'));
  copyFileSync(`${binary}.THIRD-PARTY.txt`, join(folder, 'THIRD-PARTY.txt'));
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
