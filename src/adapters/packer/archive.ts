import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { downloadTool } from '@actions/tool-cache';
import { unzipSync } from 'fflate';
import { RejectedError } from '../../kit/errors.ts';
import type { Archive } from './pins.ts';

/**
 * Path of Packer's executable, in the temporary folder of this job. The archive is downloaded once and kept; its hash is compared before it is opened,
 * each time: a hash that lies next to a file can be replaced with it.
 */
export async function unpackedArchive(
  { version, platform, sha256 }: Archive,
  { mirror, cache, temp }: { mirror: string; cache: string; temp: string },
): Promise<string> {
  const file = `packer_${version}_${platform}.zip`;
  const path = join(cache, `packer-${version}-${platform}-${sha256.slice(0, 16)}`, file);
  await mkdir(temp, { recursive: true });
  const folder = await mkdtemp(join(temp, 'ami-action-packer-'));
  const kept = await readFile(path).catch(() => undefined);
  const isIntact = kept !== undefined && hashOf(kept) === sha256;
  const zip = isIntact ? kept : await downloaded(`${mirror.replace(/\/+$/, '')}/packer/${version}/${file}`, join(folder, file));
  assertHash(zip, sha256, file);
  const binary = join(folder, 'packer');
  await writeFile(binary, executableIn(zip, file), { mode: 0o755 });
  if (!isIntact) await keep(path, zip);
  return binary;
}

async function downloaded(address: string, target: string): Promise<Buffer> {
  await downloadTool(address, target);
  const content = await readFile(target);
  await rm(target);
  return content;
}

/** Under another name and moved: two runs at once end with one complete file. */
async function keep(path: string, content: Uint8Array): Promise<void> {
  const unfinished = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(unfinished, content);
  await rename(unfinished, path);
}

const hashOf = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

function assertHash(zip: Uint8Array, expected: string, file: string): void {
  const actual = hashOf(zip);
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
