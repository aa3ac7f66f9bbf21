// The platform in the words of Go, which edges and logs show to people.

const platformNames: Readonly<Record<string, string>> = { win32: 'windows' };
const archNames: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** `linux_amd64`, `darwin_arm64`, `windows_amd64`: Go's names, which edges show to their users. */
export function platformName(platform: string, arch: string): string {
  return `${platformNames[platform] ?? platform}_${archNames[arch] ?? arch}`;
}
