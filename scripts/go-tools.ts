// act and actionlint, built from the sources that tools/<name>/go.mod and go.sum pin, kept in the cache with their hash beside them.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFile, cacheFolder } from '../src/adapters/cached-file.ts';
import { capture } from '../src/adapters/capture.ts';

const PACKAGES = {
  act: 'github.com/nektos/act',
  actionlint: 'github.com/rhysd/actionlint/cmd/actionlint',
} as const;

export type GoTool = keyof typeof PACKAGES;

/** Path of the binary; built on first use, some tens of seconds. */
export function goTool(name: GoTool): Promise<string> {
  const folder = join(import.meta.dirname, '..', 'tools', name);
  const pins = ['go.mod', 'go.sum'].map(file => readFileSync(join(folder, file)));
  const key = createHash('sha256').update(Buffer.concat(pins)).digest('hex').slice(0, 16);
  const path = join(
    cacheFolder({ ...process.env, RUNNER_TOOL_CACHE: undefined }),
    `${name}-${process.platform}-${process.arch}-${key}`,
    name,
  );
  return cachedFile(path, async target => {
    console.log(`Building ${name} from source, once ...`);
    const build = ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', target, PACKAGES[name]];
    const { exitCode, stderr } = await capture('go', build, { timeoutSeconds: 1800, environment: process.env, folder });
    if (exitCode !== 0) throw new Error(`go build of ${name} failed: ${stderr.trim().split('\n').slice(-3).join(' / ')}`);
  });
}
