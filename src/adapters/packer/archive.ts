import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadTool } from '@actions/tool-cache';
import { unzipSync } from 'fflate';
import { RejectedError } from '../../kit/errors.ts';
import { cachedFile, sha256Of } from '../cached-file.ts';
import type { Archive } from './pins.ts';

/** Path of Packer's executable. The archive is downloaded once, and its hash compared before it is opened. */
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
  throw new RejectedError(`Archive ${file} has the wrong SHA-256: ${actual}, expected ${expected}. It was not used.`, {
    next: 'Run the job again: the download may have been truncated. If the hash stays the same, something between the runner and the vendor changes files. For another build of Packer, set "packer-sha256".',
  });
}

const EXECUTABLE = /^packer(\.exe)?$/;
const MOST_BYTES = 512 * 1024 * 1024;

/** Entry names are never used as paths. An archive with an entry outside its folder is refused. */
function executableIn(zip: Uint8Array, file: string): Uint8Array {
  const refuse = (reason: string): never => {
    throw new RejectedError(`Archive ${file} cannot be used: ${reason}. It was not used.`);
  };
  const takesOne = ({ name, originalSize }: { name: string; originalSize: number }): boolean => {
    if (/^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)/.test(name))
      refuse(`its entry ${JSON.stringify(name)} would be written outside its folder`);
    if (originalSize > MOST_BYTES) refuse(`its entry ${JSON.stringify(name)} would unpack to ${originalSize} bytes`);
    return EXECUTABLE.test(name);
  };
  const [content] = Object.values(unzip(zip, takesOne, refuse));
  return content ?? refuse('it contains no packer');
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
