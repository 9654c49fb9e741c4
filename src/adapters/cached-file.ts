import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Where heavy things are kept between runs: the runner's tool cache, or the user's own. */
export const cacheFolder = (environment: NodeJS.ProcessEnv): string =>
  environment.RUNNER_TOOL_CACHE || join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ami-action');

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** An executable that is made once. Its hash lies beside it: what was cut short or changed since is made again. */
export async function cachedFile(path: string, make: (target: string) => Promise<void>): Promise<string> {
  if (await isWhole(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  // Made beside and moved: two that make it at once end with one whole file.
  const unfinished = `${path}.${randomUUID()}`;
  try {
    await make(unfinished);
    await chmod(unfinished, 0o755);
    const recorded = `${unfinished}.sha256`;
    await writeFile(recorded, `${await sha256Of(unfinished)}\n`);
    await rename(unfinished, path);
    await rename(recorded, `${path}.sha256`);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}

async function isWhole(path: string): Promise<boolean> {
  try {
    const recorded = (await readFile(`${path}.sha256`, 'utf8')).trim();
    return recorded === (await sha256Of(path));
  } catch {
    return false; // not there, or only half of it
  }
}
