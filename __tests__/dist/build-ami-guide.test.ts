import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { addImage } from '../../lab/ec2/image-making.ts';
import { images, neighbours, snapshots } from '../../lab/ec2/images.ts';
import { instances, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { newId } from '../../lab/ids.ts';
import { describeWithPacker, labOfTests, packerHere, template } from './build-lab.ts';

/** The guide of a build-ami script, command by command: each row of docs/coming-from/build-ami.md is run as a person types it. */

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'coming-from', 'build-ami.md');
const BUNDLE = process.env['AMI_ACTION_BUNDLE'] ?? join(import.meta.dirname, '..', '..', 'dist', 'index.js');
const page = () => readFileSync(PAGE, 'utf8');

const REGION = 'us-west-2';
const lab = await labOfTests({ hostManagement: true });
const place = () => lab.place(undefined, REGION);
const folder = mkdtempSync(join(tmpdir(), 'ami-action-guide-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the installed software of the guide leaves on a disk. */
const INSTALL = `
install -d /opt/pulsar/bin /opt/pulsar-templates/systemd /opt/benchmark /usr/local/bin
for program in /opt/pulsar/bin/pulsar /opt/pulsar/bin/bookkeeper /usr/local/bin/java; do printf '#!/bin/sh\\n' >$program; chmod 755 $program; done
`;

beforeAll(() => {
  const files = template();
  const script = 'packer/scripts/install.sh';
  const [, settings = ''] = /```yaml\n([\s\S]*?)```/.exec(page()) ?? [];
  // Instances of the lab are managed without a profile.
  const ours = { ...files, [script]: `${files[script]}${INSTALL}`, '.github/ami.yml': settings.replace(/^instance-profile.*\n/m, '') };
  for (const [path, content] of Object.entries(ours)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin', 'ami-action'), `#!/bin/sh\nexec '${process.execPath}' '${BUNDLE}' "$@"\n`, { mode: 0o755 });
});

interface Done {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A line of the page, in a shell of this folder. */
function shell(line: string, variables: Readonly<Record<string, string>> = {}): Promise<Done> {
  const { AWS_REGION: _, AWS_DEFAULT_REGION: __, ...aws } = lab.environment();
  const { PATH = '', ...packer } = packerHere();
  const env = { HOME: folder, ...aws, ...packer, ...variables, PATH: `${join(folder, 'bin')}:${PATH}`, PKR_VAR_ssh_port: '2322' };
  const child = spawn('bash', ['-c', line], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.out += chunk));
  child.stderr.on('data', (chunk: Buffer) => (text.err += chunk));
  return new Promise(done => child.once('close', code => done({ code, ...text })));
}

const of = (region = REGION) => lab.place(undefined, region);
const owned = (region = REGION) =>
  [...images(of(region)).values()].filter(
    ({ id, state }) => state !== 'deregistered' && tagsOf(of(region), id)['ami-action:family'] === 'pulsar',
  );
const launchedTypes = (mark: number) =>
  lab.calls
    .since(mark)
    .filter(({ operation }) => operation === 'RunInstances')
    .map(({ input }) => input['InstanceType']);
const alive = () => [...instances(place()).values()].filter(({ state }) => state !== 'terminated' && state !== 'shutting-down');

/** An image of the family without a build. */
function image(version: string, tags: Readonly<Record<string, string>> = {}): string {
  const base = neighbours(place())
    .flatMap(owner => [...images(owner).values()])
    .find(({ architecture }) => architecture === 'x86_64');
  if (base === undefined) throw new Error('no base image');
  const id = newId('ami');
  const snapshotId = id.replace('ami-', 'snap-');
  const createdAt = new Date(lab.clock.now() - 86_400_000 * (30 - owned().length));
  const devices = base.devices.slice(0, 1).map(device => ({ ...device, snapshotId }));
  const made = addImage(place(), { ...base, id, name: `pulsar-base-${version}`, description: '', tags: {} });
  Object.assign(made, { state: 'available', createdAt, devices });
  snapshots(place()).set(snapshotId, {
    ...{
      id: snapshotId,
      place: place(),
      volumeId: 'vol-1',
      description: `Created by CreateImage for ${id}`,
      sizeGiB: 8,
      startedAt: createdAt,
    },
    ...{ state: 'completed', stateMessage: '', encrypted: false, kmsKeyId: undefined, readers: new Set() },
    disk: () => lab.core.hypervisor.baseDisk(),
  });
  for (const resource of [id, snapshotId])
    setTags(place(), resource, { 'ami-action:family': 'pulsar', 'ami-action:version': version, ...tags });
  return id;
}

const rows: { readonly guide: string; readonly here: string; readonly differs: string }[] = [];
/** One row: what the guide writes, what to write here, what differs, and the proof. */
function row(
  guide: string,
  here: string,
  differs: string,
  proof: (run: (variables?: Record<string, string>) => Promise<Done>) => Promise<void>,
) {
  test(`${guide} -> ${here}`, async () => {
    await proof(variables => shell(here, variables));
    rows.push({ guide, here, differs });
  }, 180_000);
}

let AMI_ID = '';
describeWithPacker('the guide', () => {
  row('`latest`, exit code 1: no AMIs found', 'ami-action latest', '', async run => {
    expect(await run()).toMatchObject({ code: 1, out: '', err: expect.stringContaining('No image: ') });
  });

  row('`--dry-run build --version 3.0.0`', 'ami-action --dry-run build --version 3.0.0', 'also runs `packer validate`', async run => {
    const mark = lab.calls.mark();
    const { code, out } = await run();
    expect([code, out]).toEqual([0, expect.stringMatching(/^outcome +planned$/m)]);
    expect(lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List)/.test(operation))).toEqual([]);
  });

  row(
    '`AMI_ID=$(build --version 3.0.0 --instance-type t3.medium | grep "AMI ID:" | awk \'{print $3}\')`',
    "ami-action build --version 3.0.0 --instance-type t3.medium | awk '/^ami-id /{print $2}'",
    "Packer's output is on stderr; a push that changes nothing builds nothing if `base-image` is set; the template declares `instance_type`",
    async run => {
      const mark = lab.calls.mark();
      const { code, out, err } = await run();
      AMI_ID = out.trim();
      expect([code, owned().map(({ id }) => id), launchedTypes(mark)]).toEqual([0, [AMI_ID], ['t3.medium']]);
      expect(err).toContain('==> amazon-ebs.web');
      expect(images(place()).get(AMI_ID)?.name).toMatch(/^pulsar-base-3\.0\.0-\d{14}$/);
      expect(tagsOf(place(), AMI_ID)['ami-action:version']).toBe('3.0.0');
      expect(alive()).toEqual([]);
    },
  );

  row('`list`', 'ami-action list', 'the same columns, and commit, region, verdict and what uses each image', async run => {
    const { code, out } = await run();
    const [head = '', first = ''] = out.split('\n');
    expect([code, head.split(/ {2,}/).slice(0, 5)]).toEqual([0, ['AMI ID', 'Name', 'Version', 'State', 'Created']]);
    expect(first).toMatch(
      new RegExp(`^${AMI_ID} +pulsar-base-3\\.0\\.0-\\d{14} +3\\.0\\.0 +available +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d `),
    );
  });

  row('`list`, cached for 5 minutes', 'ami-action list', 'says how old the answer is', async run => {
    const mark = lab.calls.mark();
    const { code, err } = await run();
    expect([code, lab.calls.since(mark)]).toEqual([0, []]);
    expect(err).toMatch(/^As read .* ago\. --no-cache reads AWS again\.$/m);
  });

  row('`list --no-cache`', 'ami-action list --no-cache', '', async run => {
    const mark = lab.calls.mark();
    expect((await run()).code).toBe(0);
    expect(lab.calls.count('DescribeImages', mark)).toBeGreaterThan(0);
  });

  row(
    '`validate --ami-id $AMI_ID`, exit code 0',
    'ami-action validate --image "$AMI_ID"',
    'the checks are in `ami.yml`; the verdict is stored on the image',
    async run => {
      const { code, out } = await run({ AMI_ID });
      expect([code, out]).toEqual([0, expect.stringMatching(/^verdict +passed$/m)]);
      expect([alive(), tagsOf(place(), AMI_ID)['ami-action:verdict']]).toEqual([[], expect.stringMatching(/^passed /)]);
    },
  );

  row(
    '`validate --instance-type t3.small`',
    'ami-action validate --image "$AMI_ID" --test-instance-types t3.small',
    'several types at once are possible',
    async run => {
      const mark = lab.calls.mark();
      expect((await run({ AMI_ID })).code).toBe(0);
      expect(launchedTypes(mark)).toEqual(['t3.small']);
    },
  );

  row(
    '`validate`, exit code 1, and the test instance is terminated all the same',
    'ami-action validate --image "$AMI_ID" --checks \'[{ path: { path: /opt/nothing } }]\' && echo passed || echo "exit code $?"',
    '',
    async run => {
      const { out } = await run({ AMI_ID });
      expect([out.trimEnd().split('\n').at(-1), alive()]).toEqual(['exit code 1', []]);
    },
  );

  row(
    'validation pipeline: tag as validated, or delete',
    'ami-action validate --image "$AMI_ID" --on-failure delete',
    'the verdict is the tag',
    async run => {
      const passed = await run({ AMI_ID });
      expect([passed.code, tagsOf(place(), AMI_ID)['ami-action:verdict']]).toEqual([0, expect.stringMatching(/^passed /)]);
      expect(owned().map(({ id }) => id)).toEqual([AMI_ID]);
      // Nothing is installed in this one.
      const failed = await run({ AMI_ID: image('2.0.0') });
      expect([failed.code, failed.err.includes('/opt/pulsar'), owned().map(({ id }) => id), alive()]).toEqual([1, true, [AMI_ID], []]);
    },
  );

  row('`latest`, exit code 0', 'ami-action latest', 'the ID alone, on stdout', async run => {
    expect(await run()).toMatchObject({ code: 0, out: `${AMI_ID}\n` });
  });

  row(
    'orchestrator: `validate_ami_exists(region, "pulsar-base-*")`',
    'ami-action latest --no-cache',
    'by family, not by name',
    async run => {
      expect(await run()).toMatchObject({ code: 0, out: `${AMI_ID}\n` });
    },
  );

  row(
    'Python: `subprocess.run([..., "latest"])`',
    'ami-action latest --json | python3 -c \'import json, sys; print(json.load(sys.stdin)["ami-id"])\'',
    '',
    async run => {
      expect(await run()).toMatchObject({ code: 0, out: `${AMI_ID}\n` });
    },
  );

  row(
    'shell: `if ! validate ...; then exit 1; fi`',
    'if ! ami-action validate --image "$AMI_ID" --revalidate changed; then exit 1; fi',
    '',
    async run => {
      expect((await run({ AMI_ID })).code).toBe(0);
    },
  );

  row('`--debug latest`', 'ami-action --debug latest --no-cache', 'every setting with its source, every call to AWS', async run => {
    const { code, err } = await run();
    expect([code, err.includes('debug: family: '), /debug: .*DescribeImages/.test(err)]).toEqual([0, true, true]);
  });

  row('"No credentials found"', 'ami-action latest --no-cache', 'exit code 3, before AWS is asked', async run => {
    const mark = lab.calls.mark();
    const { code, out, err } = await run({ AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' });
    expect([code, out, /credentials/i.test(err), lab.calls.since(mark)]).toEqual([3, '', true, []]);
  });

  row(
    '"Access Denied": try `--debug`',
    'ami-action latest --no-cache',
    'exit code 3, with the action and the account that denies',
    async run => {
      const heal = lab.faults.add({ operation: 'DescribeImages', action: { error: 'UnauthorizedOperation', status: 403 } });
      const { code, err } = await run();
      heal();
      expect([code, err.includes('ec2:DescribeImages')]).toEqual([3, true]);
    },
  );

  row(
    'builds in several regions, in a loop',
    'ami-action build --version 3.0.0 --regions us-east-1,eu-west-1 --dry-run',
    'one build, and copies',
    async run => {
      const { code, err } = await run();
      expect([code, err.includes('us-east-1')]).toEqual([0, true]);
    },
  );

  row('lists of several regions, in a loop', 'ami-action list --regions us-east-1,eu-west-1', 'one table', async run => {
    const mark = lab.calls.mark();
    expect((await run()).code).toBe(0);
    const asked = lab.calls.since(mark).filter(({ operation }) => operation === 'DescribeImages');
    expect([...new Set(asked.map(({ region }) => region))].sort()).toEqual(['eu-west-1', 'us-east-1', REGION]);
  });

  row('`aws ec2 copy-image`', 'ami-action share --image "$AMI_ID" --regions us-east-1', 'with its tags and its verdict', async run => {
    expect((await run({ AMI_ID })).code).toBe(0);
    const [copy, ...more] = owned('us-east-1');
    expect([more, tagsOf(of('us-east-1'), copy?.id ?? '')]).toEqual([
      [],
      expect.objectContaining({ 'ami-action:version': '3.0.0', 'ami-action:verdict': expect.stringMatching(/^passed /) }),
    ]);
  });

  row('`--region us-east-1 latest`', 'ami-action --region us-east-1 latest', '', async run => {
    expect(await run()).toMatchObject({ code: 0, out: `${owned('us-east-1')[0]?.id}\n` });
  });

  row('`--dry-run delete --ami-id $OLD`', 'ami-action --dry-run delete --image "$OLD"', 'says why it may or may not', async run => {
    const OLD = image('2.10.0');
    expect([
      (await run({ OLD })).code,
      owned()
        .map(({ id }) => id)
        .includes(OLD),
    ]).toEqual([0, true]);
  });

  row('`delete --ami-id $OLD --keep-snapshots`', 'ami-action delete --image "$OLD" --keep-snapshots', '', async run => {
    const OLD = owned().find(({ name }) => name === 'pulsar-base-2.10.0')?.id ?? '';
    const snapshot = images(place()).get(OLD)?.devices[0]?.snapshotId ?? '';
    expect([(await run({ OLD })).code, owned().some(({ id }) => id === OLD), snapshots(place()).has(snapshot)]).toEqual([0, false, true]);
  });

  row(
    '`delete --ami-id $AMI_ID`',
    'ami-action delete --image "$AMI_ID"',
    'with its snapshots; refused while something may launch it',
    async run => {
      const [copy] = [AMI_ID];
      const snapshot = images(place()).get(copy)?.devices[0]?.snapshotId ?? '';
      const mark = lab.calls.mark();
      await shell('ami-action latest');
      expect([(await run({ AMI_ID: copy })).code, owned().some(({ id }) => id === copy), snapshots(place()).has(snapshot)]).toEqual([
        0,
        false,
        false,
      ]);
      expect(lab.calls.count('DeregisterImage', mark)).toBe(1);
      // "Invalidates local cache".
      expect(readdirSync(join(folder, '.cache', 'ami-action'))).not.toContain('answers');
    },
  );

  row(
    'cleanup-old-amis.sh, which keeps the latest 3',
    'ami-action prune --keep-newest 3 --minimum-age 0s --min-in-use 0 --no-dry-run',
    'without `--no-dry-run`, the plan',
    async run => {
      const made = ['2.6.0', '2.7.0', '2.8.0', '2.9.0', '3.1.0'].map(version => image(version));
      // The guide's own pipe: newest first, the ID in the first column.
      const { out } = await shell(`ami-action list --no-cache | grep "ami-" | awk '{print $1}' | tail -n +4`);
      expect(out.trim().split('\n')).toEqual([made[1], made[0]]);
      expect((await run()).code).toBe(0);
      expect(owned().map(({ id }) => id)).toEqual(made.slice(2));
    },
  );

  test('the table of the page is these rows', () => {
    const cell = (text: string) => text.replaceAll('|', '\\|');
    const table = [
      '| The guide | Here | Differs |',
      '| --- | --- | --- |',
      ...rows.map(({ guide, here, differs }) => `| ${cell(guide)} | \`${cell(here)}\` | ${cell(differs)} |`),
    ];
    const written = page().replace(
      /(<!-- <guide> -->\n)[\s\S]*(<!-- <\/guide> -->)/,
      (_, begin: string, end: string) => `${begin}${table.join('\n')}\n${end}`,
    );
    if (process.env['AMI_ACTION_WRITE_DOCS'] === '1') writeFileSync(PAGE, written);
    expect(page()).toBe(written);
  });
});
