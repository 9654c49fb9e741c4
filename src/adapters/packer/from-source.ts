import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFile } from '../cached-file.ts';
import { capture } from '../capture.ts';
import { onPath } from '../on-path.ts';

/** A tool of the vendor that is built from its published source: each has a go.mod here that pins it and all it depends on. */
export interface GoTool {
  readonly name: 'packer' | 'packer-plugin-amazon';
  /** Where its go.mod and go.sum lie. */
  readonly folder: string;
}

export interface BuiltTool {
  readonly binary: string;
  readonly version: string;
}

const HALF_AN_HOUR = 30 * 60;

export async function pinnedVersion({ name, folder }: GoTool): Promise<string> {
  const [, version] = new RegExp(`github\\.com/hashicorp/${name} v(\\S+)`).exec(await readFile(join(folder, 'go.mod'), 'utf8')) ?? [];
  if (version === undefined) throw new Error(`${folder}/go.mod does not pin ${name}.`);
  return version;
}

/** Some minutes when it is made, some tenths of a second after that. go.sum holds the hash of every module, and go checks them. */
export async function builtFromSource(
  tool: GoTool,
  cache: string,
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<BuiltTool> {
  const version = await pinnedVersion(tool);
  const pins = await Promise.all(['go.mod', 'go.sum'].map(file => readFile(join(tool.folder, file))));
  const key = createHash('sha256').update(Buffer.concat(pins)).digest('hex').slice(0, 16);
  const path = join(cache, `${tool.name}-${version}-${process.platform}-${process.arch}-${key}`, tool.name);
  const binary = await cachedFile(path, async target => {
    const go = await onPath('go', environment);
    if (go === undefined) throw new Error('go is not on PATH');
    say(`Building ${tool.name} ${version} from source, which takes some minutes the first time ...`);
    const { exitCode, stderr } = await capture(
      go,
      ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', target, `github.com/hashicorp/${tool.name}`],
      { timeoutSeconds: HALF_AN_HOUR, environment, folder: tool.folder },
    );
    if (exitCode !== 0) throw new Error(`go build of ${tool.name} ${version} failed: ${stderr.trim().split('\n').slice(-3).join(' / ')}`);
  });
  return { binary, version };
}
