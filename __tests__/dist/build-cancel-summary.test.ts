import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { startLab } from '../../lab/lab.ts';
import { removeWorkspaces, runAction } from '../harness.ts';

/** The runner kills the action 10 s after a cancel, and Packer may take longer to clean up. */

const lab = await startLab({ machines: 'paper', speed: 1 });
const bin = mkdtempSync(join(tmpdir(), 'ami-action-cancel-'));
afterAll(async () => {
  await lab.close();
  rmSync(bin, { recursive: true });
  removeWorkspaces();
});

test('a build that is killed while Packer cleans up has written its outcome and its summary', async () => {
  const slow = 'trap "" TERM INT; echo "1,,ui,say,building"; sleep 9 & wait; wait';
  const script = `#!/bin/sh\ncase "$1" in\nversion) echo "Packer v1.16.0" ;;\ninspect) echo "1,,ui,say,ok" ;;\nbuild) ${slow} ;;\nesac\n`;
  writeFileSync(join(bin, 'packer'), script);
  chmodSync(join(bin, 'packer'), 0o755);
  let kill = () => {};
  const ran = await runAction({
    mode: 'build',
    lab,
    with: { family: 'web', template: 'image.pkr.hcl' },
    files: { 'image.pkr.hcl': 'source "amazon-ebs" "own" {\n  ami_name = "web"\n}\nbuild {\n  sources = ["source.amazon-ebs.own"]\n}\n' },
    env: { PATH: `${bin}:/usr/bin:/bin` },
    onStart: child => {
      kill = () => {
        child.kill('SIGINT');
        setTimeout(() => child.kill('SIGKILL'), 6000);
      };
    },
    onLine: line => {
      if (line.includes('building')) kill();
    },
  });
  expect([ran.signal, ran.outputs['outcome']]).toEqual(['SIGKILL', 'cancelled']);
  expect(ran.summary).toMatch(/^### 🚫 Cancelled\n\nThe run was cancelled\. The `post` step of this job ends what it started\./);
});
