// Go programs for tests and demo, built from the sources that tools/<name>/go.mod and go.sum pin. go checks each module against go.sum.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFile, cacheFolder } from '../src/adapters/cached-file.ts';
import { capture } from '../src/adapters/capture.ts';

const PACKAGES = {
  act: 'github.com/nektos/act',
  actionlint: 'github.com/rhysd/actionlint/cmd/actionlint',
  packer: 'github.com/hashicorp/packer',
  'packer-plugin-amazon': 'github.com/hashicorp/packer-plugin-amazon',
} as const;

const HALF_AN_HOUR = 30 * 60;

/** Path of the binary. Built once, up to some minutes; after that only its hash is compared. */
export function goTool(name: keyof typeof PACKAGES): Promise<string> {
  const folder = join(import.meta.dirname, '..', 'tools', name);
  const [mod = '', sum = ''] = ['go.mod', 'go.sum'].map(file => readFileSync(join(folder, file), 'utf8'));
  const key = createHash('sha256').update(mod).update(sum).digest('hex').slice(0, 16);
  const version = new RegExp(`/${name} v(\\S+)`).exec(mod)?.[1];
  if (version === undefined) throw new Error(`${folder}/go.mod does not pin ${name}.`);
  const cache = cacheFolder({ ...process.env, RUNNER_TOOL_CACHE: undefined });
  return cachedFile(join(cache, `${name}-${version}-${process.platform}-${process.arch}-${key}`, name), async target => {
    console.error(`Building ${name} ${version} from source, once ...`);
    const build = ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', target, PACKAGES[name]];
    const { exitCode, stderr } = await capture('go', build, { timeoutSeconds: HALF_AN_HOUR, environment: process.env, folder });
    if (exitCode !== 0) throw new Error(`go build of ${name} failed: ${stderr.trim().split('\n').slice(-3).join(' / ')}`);
  });
}
