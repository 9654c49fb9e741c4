import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../ports/deps.ts';
import type { Attestations } from '../ports/github.ts';
import { capture, onPath } from './capture.ts';

const SECONDS = 120;

/**
 * Verifies by the GitHub CLI, which checks signature, certificate and transparency log. It ends with 0 only if an attestation fits all flags.
 * https://cli.github.com/manual/gh_attestation_verify
 */
export const githubAttestations = (
  { temp, workspace }: Pick<Run, 'temp' | 'workspace'>,
  environment: NodeJS.ProcessEnv = process.env,
): Attestations => ({
  async refusal({ content, repository, ref, predicateType, token }) {
    const gh = await onPath('gh', environment, workspace);
    if (gh === undefined) return 'the GitHub CLI (gh) is not on PATH';
    const folder = await mkdtemp(join(temp, 'ami-action-attested-'));
    try {
      const file = join(folder, 'image.json');
      await writeFile(file, content);
      const flags = ['--repo', repository, '--source-ref', ref, '--predicate-type', predicateType];
      const { PATH, HOME, GH_HOST, HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy } = environment;
      const own = { PATH, HOME, GH_HOST, HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy, GH_TOKEN: token, GH_PROMPT_DISABLED: '1' };
      const known = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
      const order = { timeoutSeconds: SECONDS, environment: known };
      const { exitCode, stderr } = await capture(gh, ['attestation', 'verify', file, ...flags, '--format', 'json'], order);
      if (exitCode === 0) return undefined;
      return stderr.trim().split('\n').at(-1)?.slice(0, 300) || `gh attestation verify ended with ${exitCode ?? 'a signal'}`;
    } catch (failure) {
      return `gh attestation verify cannot be run: ${(failure as Error).message}`;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
});
