import { expect, test } from '@jest/globals';
import { bare, build, DEBIAN, describeWithPacker as describe, idle, labOfTests } from './build-lab.ts';

/** Templates as other repositories have them: what they do differently from the example, each in the smallest form that builds. */

const lab = await labOfTests();

describe('which template and which var files are used', () => {
  const files = () => ({
    ...idle(),
    'stage.pkrvars.hcl': 'app_version = "1"\n',
    'prod.pkrvars.hcl': 'app_version = "2"\n',
    '.github/ami.yml': 'environments:\n  stage: { var-files: [stage.pkrvars.hcl] }\n  prod: { var-files: [prod.pkrvars.hcl] }\n',
  });
  const run = (more: Record<string, string>) => build(lab, { files: files(), with: { family: 'own', 'base-image': DEBIAN, ...more } });

  test('determines the image: prod never gets the one of stage', async () => {
    const stage = await run({ environment: 'stage' });
    expect(stage.outputs['built']).toBe('true');
    const prod = await run({ environment: 'prod', 'dry-run': 'true' });
    expect(prod.outputs['reason']).toBe(`changed since ${stage.outputs['ami-id']}: template, var-files or working-directory`);
    const again = await run({ environment: 'stage' });
    expect(again.outputs).toMatchObject({ built: 'false', 'ami-id': stage.outputs['ami-id'] });
  });
});

describe('relative paths', () => {
  const source = bare(
    '',
    'build {\n  sources = ["source.amazon-ebs.own"]\n  provisioner "shell" {\n    script = "scripts/x.sh"\n  }\n  post-processor "manifest" {\n    output = "manifest.json"\n  }\n}',
  );
  const files = {
    'images/web/image.pkr.hcl': source['image.pkr.hcl'] ?? '',
    'images/web/scripts/x.sh': '#!/bin/sh\necho "ran in the template"\n',
  };

  test('work where they exist: Packer runs in the directory of the template, and says why', async () => {
    const ran = await build(lab, { files, with: { family: 'relative', template: 'images/web' } });
    expect(ran.errors).toEqual([]);
    expect(ran.log).toContain('Packer runs in images/web: 1 of 1 relative path of the template exists there, and 0 in the workspace.');
    expect(ran.log).toContain('ran in the template');
  });

  test('work where "working-directory" says', async () => {
    const both = { ...files, 'scripts/x.sh': '#!/bin/sh\necho "ran in the workspace"\n' };
    const ran = await build(lab, { files: both, with: { family: 'chosen', template: 'images/web' } });
    expect(ran.log).toContain('ran in the workspace');
    const set = await build(lab, { files: both, with: { family: 'chosen', template: 'images/web', 'working-directory': 'images/web' } });
    expect(set.errors).toEqual([]);
    expect(set.log).toContain('ran in the template');
    const wrong = await build(lab, { files, with: { family: 'chosen', template: 'images/web', 'working-directory': 'nowhere' } });
    expect(wrong.errors.join()).toContain(
      '"working-directory" is "nowhere", which is not a directory of the workspace\nNo changes were made.',
    );
  });
});
