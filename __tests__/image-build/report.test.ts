import { expect, test } from '@jest/globals';
import { buildPhases } from '../../src/image-build/report.ts';
import { parseLine } from '../../src/image-build/rules/packer-output.ts';

const log = (...lines: readonly (readonly [number, string])[]) =>
  lines.map(([seconds, message]) => parseLine(`${seconds},,ui,say,${message}`)).filter(line => line !== undefined);

test('each source has its own times, although they print at the same time', () => {
  const lines = log(
    [100, '==> amazon-ebs.a: Prevalidating AMI Name: x'],
    [100, '==> amazon-ebs.b: Prevalidating AMI Name: y'],
    [102, '==> amazon-ebs.a: Launching a source AWS instance...'],
    [103, '==> amazon-ebs.b: Launching a source AWS instance...'],
    [140, '==> amazon-ebs.a: Waiting for SSH to become available...'],
    [150, '==> amazon-ebs.a: Provisioning with shell script: one.sh'],
    [170, '==> amazon-ebs.a: Provisioning with shell script: two.sh'],
    [190, '==> amazon-ebs.b: Terminating the source AWS instance...'],
    [200, '==> amazon-ebs.a: Stopping the source instance...'],
    [210, "Build 'amazon-ebs.b' errored after 1 minute: sorry"],
    [230, '==> amazon-ebs.a: Creating AMI x from instance i-1'],
    [260, '==> amazon-ebs.a: Creating AMI tags'],
    [300, "Build 'amazon-ebs.a' finished after 3 minutes."],
  );
  const of = (name: string) =>
    buildPhases(lines)
      .filter(({ source }) => source === name)
      .map(phase => [phase.name, phase.seconds]);
  expect(of('amazon-ebs.a')).toEqual([
    ['prepare', 2],
    ['launch', 38],
    ['connect', 10],
    ['provision', 50],
    ['stop', 30],
    ['make the image', 70],
  ]);
  expect(of('amazon-ebs.b')).toEqual([
    ['prepare', 3],
    ['launch', 87],
    ['clean up', 20],
  ]);
});

test('a phase that never ended has no duration', () => {
  expect(buildPhases(log([100, '==> amazon-ebs.a: Launching a source AWS instance...']))).toEqual([]);
});
