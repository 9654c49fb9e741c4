import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Where downloads are kept between runs: the runner's tool cache, or the user's cache directory. */
export const cacheFolder = (environment: NodeJS.ProcessEnv): string =>
  environment.RUNNER_TOOL_CACHE || join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ami-action');

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Path of an executable that is made once. Its hash is stored next to it: a truncated or changed file is made again. */
export async function cachedFile(path: string, make: (target: string) => Promise<void>): Promise<string> {
  if (await isWhole(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  // Made under another name and moved: two runs at once end with one complete file.
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
    return false; // missing or incomplete
  }
}
