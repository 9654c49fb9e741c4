import { expect, test } from '@jest/globals';
import { buildError } from '../../src/image-build/packer-phase.ts';
import { parseLine } from '../../src/image-build/rules/packer-output.ts';

/** A failed command of Packer, as the log shows it. */

const say = (text: string) => `1,,ui,say,${text.replaceAll(',', '%!(PACKER_COMMA)')}`;
const failed = (command: string, ...lines: readonly string[]) => {
  const error = buildError(
    command,
    { exitCode: 1, signal: undefined, stopped: undefined, lines: lines.flatMap(line => parseLine(line) ?? []) },
    { timeout: 3600 },
  );
  return [error.outcome, error.message.split('\n'), error.next];
};

test('a base image that does not exist: without the pointers that Packer prints', () => {
  const error =
    'Datasource.Execute failed: No AMI was found matching filters: &{<nil> [] [{0x222f59be4730 [hvm] {}} {0x222f59be4740 [x]}]}';
  expect(failed('packer build', `1,,ui,error,${error}`)).toEqual([
    'usage',
    ['packer build failed: Datasource.Execute failed: No AMI was found matching filters', 'No such base image exists in this region.'],
    'Check owners, name and architecture in source_ami_filter. An image has another ID in every region.',
  ]);
});

test('a source that Packer cannot log in to: the headline is not repeated, and the clean-up is no cause', () => {
  const lines = [
    say('==> amazon-ebs.web: Waiting for SSH to become available...'),
    say('==> amazon-ebs.web: Timeout waiting for SSH.'),
    say('==> amazon-ebs.web: Terminating the source AWS instance...'),
    say('==> amazon-ebs.web: Deleting temporary security group...'),
    '1,amazon-ebs.web,error,Timeout waiting for SSH.',
  ];
  expect(failed('packer build', ...lines)).toEqual([
    'rejected',
    [
      'packer build failed: amazon-ebs.web: Timeout waiting for SSH.',
      'Packer could not log in to the build instance.',
      'Last lines before the failure:',
      '  Waiting for SSH to become available...',
    ],
    'Check ssh_username for this base image, and that the runner reaches the instance: a public IP (associate_public_ip_address = true), or ssh_interface = "session_manager" in a private subnet.',
  ]);
});

test('an argument that the template lacks: its line, and that nothing was changed', () => {
  const text =
    'Error: Unsupported argument\\n\\n  on images/web.pkr.hcl line 18:\\n  (source code not available)\\n\\nAn argument named "x" is not expected here.';
  const error = buildError(
    'packer build',
    { exitCode: 1, signal: undefined, stopped: undefined, lines: [parseLine(`1,,ui,error,${text}`)].flatMap(line => line ?? []) },
    { timeout: 3600 },
  );
  expect([error.outcome, error.unchanged, error.next]).toEqual(['usage', true, 'Fix line 18 of images/web.pkr.hcl.']);
});

test('the stop for an error of the template ends Packer before it exits: the error is the cause', () => {
  const ended = (...lines: readonly string[]) =>
    buildError(
      'packer build',
      { exitCode: undefined, signal: 'SIGTERM', stopped: undefined, lines: lines.flatMap(line => parseLine(line) ?? []) },
      { timeout: 3600 },
    );
  const ofTemplate = ended('1,,ui,error,Error: no such file');
  expect([ofTemplate.outcome, ofTemplate.message, ofTemplate.unchanged]).toEqual([
    'usage',
    'packer build failed: Error: no such file',
    true,
  ]);
  expect(ended('1,amazon-ebs.web,error,Timeout').message).toBe('packer build failed: ended by SIGTERM');
});
