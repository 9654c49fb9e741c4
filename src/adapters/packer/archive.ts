import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadTool } from '@actions/tool-cache';
import { unzipSync } from 'fflate';
import { RejectedError } from '../../kit/errors.ts';
import { cachedFile, sha256Of } from '../cached-file.ts';
import type { Archive } from './pins.ts';

/** Packer's executable out of the archive: downloaded once, compared with its hash before it is opened. */
export function unpackedArchive(
  { version, platform, sha256 }: Archive,
  { mirror, cache, temp }: { mirror: string; cache: string; temp: string },
): Promise<string> {
  const file = `packer_${version}_${platform}.zip`;
  const path = join(cache, `packer-${version}-${platform}-${sha256.slice(0, 16)}`, 'packer');
  return cachedFile(path, async target => {
    const zip = join(temp, `${sha256.slice(0, 16)}-${Date.now()}-${file}`);
    await downloadTool(`${mirror.replace(/\/+$/, '')}/packer/${version}/${file}`, zip);
    try {
      await assertHash(zip, sha256, file);
      await writeFile(target, executableIn(await readFile(zip), file));
    } finally {
      await rm(zip, { force: true });
    }
  });
}

async function assertHash(zip: string, expected: string, file: string): Promise<void> {
  const actual = await sha256Of(zip);
  if (actual === expected) return;
  throw new RejectedError(
    `${file} is not the archive that it should be: its SHA-256 is ${actual}, expected ${expected}. Nothing of it was run.`,
    {
      next: 'Run again in case the download was cut short. If it stays so, someone between here and the vendor changes files; for another build of Packer set "packer-sha256".',
    },
  );
}

const EXECUTABLE = /^packer(\.exe)?$/;
const MOST_BYTES = 512 * 1024 * 1024;

/** No entry is ever written by the name that it has in the archive; one that tries to leave its folder spoils the whole. */
export function executableIn(zip: Uint8Array, file: string): Uint8Array {
  const refuse = (reason: string): never => {
    throw new RejectedError(`${file} cannot be used: ${reason}. Nothing of it was run.`);
  };
  const takesOne = ({ name, originalSize }: { name: string; originalSize: number }): boolean => {
    if (/^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)/.test(name))
      refuse(`its entry ${JSON.stringify(name)} would be written outside its folder`);
    if (originalSize > MOST_BYTES) refuse(`its entry ${JSON.stringify(name)} says that it unpacks to ${originalSize} bytes`);
    return EXECUTABLE.test(name);
  };
  const [content] = Object.values(unzip(zip, takesOne, refuse));
  return content ?? refuse('it holds no packer');
}

function unzip(
  zip: Uint8Array,
  filter: (entry: { name: string; originalSize: number }) => boolean,
  refuse: (reason: string) => never,
): Record<string, Uint8Array> {
  try {
    return unzipSync(zip, { filter });
  } catch (cause) {
    if (cause instanceof RejectedError) throw cause;
    return refuse(`it is damaged (${(cause as Error).message})`);
  }
}
