import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { allowedImages } from '../../lab/ec2/allowed-images.ts';
import { images, organizations, snapshots } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { setTags } from '../../lab/ec2/state.ts';
import { keys, type LabKey } from '../../lab/kms/keys.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { verdictOf, verdictValue } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { BUILD, COMMIT, FURTHER, HOME, PROD, ROLE, type ShareLab, STAGE, shareLab } from './share-lab.ts';

const SCHEME = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };

let l: ShareLab;
beforeEach(async () => {
  l = await shareLab();
});
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const share = (image: string, wanted: Record<string, string>) => l.act('share', { image, 'target-role': ROLE, ...wanted });
const roleIn = (account: string) => ROLE.replace('{account}', account);
const snapshotOf = (id: string) => snapshots(l.home).get(`snap-${id.slice('ami-'.length)}`);

describe('the tested image in every account and region', () => {
  test('three accounts, three regions: built in one, shared, found by commit with own credentials only, promoted there', async () => {
    const id = l.image('web-1');
    const settings = { accounts: STAGE, copy: PROD, regions: FURTHER.join(',') };
    const mark = l.lab.calls.mark();
    const ran = await share(id, settings);
    expect(ran).toMatchObject({ exitCode: 0, errors: [], outputs: { outcome: 'done', 'ami-id': id, changed: 'true' } });
    const ours = JSON.parse(ran.outputs['ami-ids'] ?? '{}') as Record<string, string>;
    expect(Object.keys(ours)).toEqual([HOME, ...FURTHER]);
    const second = l.lab.calls.mark();
    expect(await share(id, settings)).toMatchObject({ exitCode: 0, outputs: { outcome: 'unchanged', changed: 'false' } });
    expect(l.writes(second)).toEqual([]);
    expect(l.writes(mark).filter(call => call.startsWith('CopyImage'))).toHaveLength(5);
    for (const region of [HOME, ...FURTHER]) {
      for (const account of [STAGE, PROD]) {
        const found = await l.act('resolve', { image: `commit:${COMMIT}` }, { as: { account, region } });
        expect(found).toMatchObject({ exitCode: 0, outputs: { verdict: 'passed', version: '1.2.0', commit: COMMIT } });
        const there = found.outputs['ami-id'] ?? '';
        expect(there === ours[region]).toBe(account === STAGE);
        expect(l.tags(there, account, region)).toMatchObject({
          'ami-action:family': 'web',
          'ami-action:fingerprint': 'f'.repeat(64),
          team: 'web',
        });
        expect(verdictOf({ id: there, tags: l.tags(there, account, region) }, SCHEME).result).toBe('passed');
      }
    }
    const promoted = await l.act(
      'promote',
      { image: `commit:${COMMIT}`, environment: 'prod', strategy: 'none' },
      { as: { account: PROD, region: 'us-east-1' } },
    );
    expect(promoted).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(parameters(l.lab.place(PROD, 'us-east-1')).get('/ami/web/prod')?.versions.at(-1)?.value).toBe(promoted.outputs['ami-id']);
    expect(l.owned(PROD, 'us-east-1').map(image => image.id)).toEqual([promoted.outputs['ami-id']]);
  });

  test('an organization is one permission; its accounts find the image without a tag of ours', async () => {
    const id = l.image('web-1');
    const unit = 'arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678';
    organizations(l.lab.core).set(unit, new Set([STAGE]));
    const ran = await share(id, { organizations: unit });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect([...l.labImage(id).launchers]).toEqual([unit]);
    expect((await l.act('resolve', { image: id }, { as: { account: STAGE } })).outputs['ami-id']).toBe(id);
  });

  test('a dry run prints the plan of the real run and writes nothing', async () => {
    const id = l.image('web-1');
    const mark = l.lab.calls.mark();
    const planned = await share(id, { accounts: STAGE, regions: 'eu-west-1', 'dry-run': 'true' });
    expect([planned.exitCode, planned.outputs['outcome'], l.writes(mark)]).toEqual([0, 'planned', []]);
    const done = await share(id, { accounts: STAGE, regions: 'eu-west-1' });
    const plan = planned.summary.split('<details>')[0]?.trim() ?? '?';
    expect(plan).toContain('| `444455556666` | `eu-west-1` | share, tag | not shared yet, no tags yet |');
    expect(done.summary.startsWith(plan)).toBe(true);
  });

  test('an account that leaves the list keeps the permission until "unshare"; then the removal is planned and done', async () => {
    const id = l.image('web-1');
    await share(id, { accounts: `${STAGE},${PROD}` });
    const mark = l.lab.calls.mark();
    expect((await share(id, { accounts: STAGE })).outputs['outcome']).toBe('unchanged');
    const planned = await share(id, { accounts: STAGE, unshare: 'true', 'dry-run': 'true' });
    expect(planned.summary).toContain('| `777788889999` | `eu-central-1` | unshare | on no list |');
    expect([l.writes(mark), [...l.labImage(id).launchers]]).toEqual([[], [STAGE, PROD]]);
    expect((await share(id, { accounts: STAGE, unshare: 'true' })).outputs['outcome']).toBe('done');
    expect([...l.labImage(id).launchers]).toEqual([STAGE]);
    expect((await l.act('resolve', { image: 'latest' }, { as: { account: PROD } })).exitCode).toBe(1);
  });

  test('"unshare" removes the permission and reports the copies that remain, with the command', async () => {
    const id = l.image('web-1');
    await share(id, { accounts: STAGE, copy: PROD, regions: 'eu-west-1' });
    const copies = [HOME, 'eu-west-1'].map(region => ({ region, copy: l.owned(PROD, region)[0]?.id ?? '' }));
    const mark = l.lab.calls.mark();
    const planned = await share(id, { accounts: STAGE, regions: 'eu-west-1', unshare: 'true', 'dry-run': 'true' });
    expect([planned.summary.includes('| `777788889999` | `eu-central-1` | unshare |'), l.writes(mark)]).toEqual([true, []]);
    const ran = await share(id, { accounts: STAGE, regions: 'eu-west-1', unshare: 'true' });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(ran.warnings).toEqual([
      `Account ${PROD} keeps its own copies: ${copies.map(({ copy, region }) => `${copy} in ${region}`).join(', ')}. To remove, run in account ${PROD}: ${copies
        .map(({ copy, region }) => `aws ec2 deregister-image --region ${region} --image-id ${copy} --delete-associated-snapshots`)
        .join('; ')}`,
    ]);
    expect(ran.summary).toContain('keeps its own copies');
    expect([[...l.labImage(id).launchers], [...(snapshotOf(id)?.readers ?? [])]]).toEqual([[STAGE], []]);
    for (const { copy, region } of copies) expect(l.owned(PROD, region).map(image => image.id)).toEqual([copy]);
  });

  test('"unshare" reports once where copies were not listed', async () => {
    const id = l.image('web-1');
    await share(id, { accounts: `${STAGE},${PROD}`, regions: 'eu-west-1' });
    const ran = await l.act('share', { image: id, accounts: STAGE, regions: 'eu-west-1', unshare: 'true' });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(ran.warnings).toEqual([`Copies that account ${PROD} made of ${id} remain and were not listed: set "target-role" to list them.`]);
    const launchers = [...l.owned(BUILD), ...l.owned(BUILD, 'eu-west-1')].map(image => [...image.launchers]);
    expect(launchers).toEqual([[STAGE], [STAGE]]);
  });

  test("a consumer's own failed validation is not overwritten with the verdict of the source", async () => {
    const id = l.image('web-1');
    await share(id, { accounts: STAGE });
    const failed = verdictValue(id, { result: 'failed', checks: 'b'.repeat(32), at: new Date(l.lab.clock.now()) });
    setTags(l.lab.place(STAGE), id, { 'ami-action:verdict': failed });
    const ran = await share(id, { accounts: STAGE });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toContain(`- 444455556666 in eu-central-1: ${id} failed validation there`);
    expect(l.tags(id, STAGE)['ami-action:verdict']).toBe(failed);
  });
});

describe('refused before the first write', () => {
  const refused = async (id: string, wanted: Record<string, string>, outcome: string, says: string | RegExp) => {
    const mark = l.lab.calls.mark();
    const ran = await share(id, wanted);
    expect([ran.exitCode, ran.outputs['outcome'], l.writes(mark)]).toEqual([1, outcome, []]);
    if (typeof says === 'string') expect(ran.errors.join('\n')).toContain(says);
    else expect(ran.errors.join('\n')).toMatch(says);
    expect([...(images(l.home).get(id)?.launchers ?? [])]).toEqual([]);
  };

  test('scenario 44: encrypted with the key of AWS, and everybody', async () => {
    const locked = l.image('locked', { key: l.defaultKey() });
    await refused(
      locked,
      { accounts: STAGE },
      'rejected',
      `${locked} cannot be shared: ${locked} is encrypted with the AWS managed key aws/ebs (${l.defaultKey()}), which other accounts cannot use. Build it with a customer managed key (kms_key_id in the template) that allows them.`,
    );
    const open = l.image('open');
    await refused(
      open,
      { accounts: 'all' },
      'usage',
      '"accounts" is "all", which makes the image public: set "allow-public: true" to allow it',
    );
    const own = l.image('own', { key: l.key([]) });
    await refused(
      own,
      { accounts: 'all', 'allow-public': 'true' },
      'rejected',
      `${own} is encrypted, and an encrypted image cannot be public`,
    );
    expect(await share(open, { accounts: 'all', 'allow-public': 'true' })).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect([...l.labImage(open).launchers]).toEqual(['all']);
  });

  test('no verdict, a failed one, a strange family, an image of others', async () => {
    const untested = l.image('untested', { tags: { 'ami-action:verdict': '' } });
    await refused(
      untested,
      { accounts: STAGE },
      'rejected',
      `${untested} has no passed verdict (never validated). Run mode "validate" on it first`,
    );
    const strange = l.image('strange', { tags: { 'ami-action:family': 'api' } });
    await refused(
      strange,
      { accounts: STAGE },
      'rejected',
      `${strange} is not in family "web" (no family tag). Build it with mode "build"`,
    );
    const theirs = l.image('theirs', {}, l.lab.place(STAGE));
    l.labImage(theirs, l.lab.place(STAGE)).launchers.add(BUILD);
    const ran = await share(theirs, { accounts: PROD });
    expect(ran.errors.join('\n')).toContain(
      `${theirs} belongs to account ${STAGE}. Only its owner can share it: use a role of that account`,
    );
  });

  test('settings that contradict each other are reported together', async () => {
    const ran = await l.act('share', { image: 'latest', copy: PROD, 'kms-key': 'ap-south-1: alias/ami', accounts: 'all' });
    expect(ran.errors.join('\n')).toMatch(
      /3 settings need attention:[\s\S]*"accounts" is "all"[\s\S]*"target-role" is required: a role of account 777788889999 makes the copy there[\s\S]*"kms-key" names ap-south-1/,
    );
    expect((await l.act('share', {})).errors.join('\n')).toContain(
      '"accounts", "organizations", "regions" and "copy" are all empty: set one of them',
    );
  });

  test('more entities than AWS allows', async () => {
    const id = l.image('web-1');
    const many = Array.from({ length: 1001 }, (_, index) => String(200000000000 + index));
    const ran = await l.act('share', { image: id, accounts: many.join(',') });
    expect(ran.errors.join('\n')).toContain(
      'In eu-central-1 the image would be shared with 1001 accounts and organizations, and AWS allows 1000. Share it with an organization or a unit of it.',
    );
    expect(l.labImage(id).launchers.size).toBe(0);
  });

  test('scenario 84: a role that leads elsewhere, or to an account that is not allowed', async () => {
    const id = l.image('web-1');
    await refused(id, { accounts: STAGE, 'allowed-account-ids': BUILD }, 'usage', '"allowed-account-ids" does not list 444455556666');
    await refused(
      id,
      { accounts: STAGE, 'allowed-account-ids': STAGE },
      'access',
      `These credentials belong to account ${BUILD}, and "allowed-account-ids" allows ${STAGE}.\nNo changes were made.`,
    );
    const mark = l.lab.calls.mark();
    const ran = await share(id, { accounts: STAGE, 'target-role': roleIn(PROD) });
    expect(ran.errors.join('\n')).toContain(`Role ${roleIn(PROD)} belongs to account ${PROD}, not ${STAGE}.`);
    expect([ran.outputs['outcome'], l.writes(mark)]).toEqual(['access', []]);
  });
});

describe("a customer's key", () => {
  test('that does not name an account leaves only that account out', async () => {
    const id = l.image('web-1', { key: l.key([STAGE]) });
    const ran = await share(id, { accounts: `${STAGE},${PROD}` });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toMatch(
      /1 of 2 targets failed, the others are done:\n- 777788889999 in eu-central-1: Key arn:aws:kms:\S+ does not allow account 777788889999\. Add arn:aws:iam::777788889999:root to its policy, with kms:Decrypt and kms:CreateGrant: https:/,
    );
    expect([...l.labImage(id).launchers]).toEqual([STAGE]);
    expect(l.tags(id, PROD)).toEqual({});
  });

  test('that may deny the account is a warning: its Deny statements are not evaluated', async () => {
    const arn = l.key([STAGE, PROD]);
    const { Statement } = (keys(l.lab.core).get(arn) as LabKey).policy as { Statement: object[] };
    const Condition = { StringNotEquals: { 'kms:CallerAccount': [BUILD, STAGE] } };
    Statement.push({ Sid: 'OnlyStage', Effect: 'Deny', Principal: '*', Action: 'kms:*', Resource: '*', Condition });
    const id = l.image('web-1', { key: arn });
    const ran = await share(id, { accounts: `${STAGE},${PROD}` });
    expect([ran.exitCode, ran.outputs['outcome'], [...l.labImage(id).launchers]]).toEqual([0, 'done', [STAGE, PROD]]);
    expect(ran.warnings.join('\n')).toContain(
      `Key ${arn} has Deny statements, which were not evaluated. Make sure that account ${PROD} can use it: https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html`,
    );
  });

  test('that KMS refuses only while the copy is made, ends in one line with its reason', async () => {
    const arn = l.key([STAGE]);
    const id = l.image('web-1', { key: arn });
    l.lab.faults.add({ service: 'kms', operation: 'GetKeyPolicy', action: { error: 'AccessDeniedException', message: 'no' } });
    const ran = await share(id, { copy: `${STAGE},${PROD}` });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toMatch(
      /1 of 2 targets failed, the others are done:\n- 777788889999 in eu-central-1: ami-\S+ in account 777788889999, eu-central-1: AWS accepted the copy, which then became failed: .*Given key ID is not accessible\. Check the key \(kms-key\)/,
    );
    expect([l.owned(STAGE).map(({ state }) => state), l.owned(PROD).map(({ state }) => state)]).toEqual([['available'], ['failed']]);
  });

  test('without a grant for Auto Scaling is a warning with the command', async () => {
    const id = l.image('web-1', { key: l.key([STAGE]) });
    const ran = await share(id, { accounts: STAGE });
    expect(ran.warnings.join('\n')).toMatch(
      /Auto Scaling in account 444455556666 may not be able to use .*"Client.InternalError: Client error on launch"\. In account 444455556666, run: aws kms create-grant --key-id \S+ --grantee-principal \S+AWSServiceRoleForAutoScaling/,
    );
    const granted = l.key([STAGE], {
      grants: [
        'arn:aws:iam::1:role/x',
        'arn:aws:iam::2:role/y',
        `arn:aws:iam::${STAGE}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
      ],
    });
    expect(keys(l.lab.core).get(granted)?.grants).toHaveLength(3);
    expect((await share(id, { accounts: STAGE })).warnings).toEqual([]);
  });

  test('whose policy cannot be read is reported as unchecked; one that is disabled is refused', async () => {
    const arn = l.key([STAGE]);
    const id = l.image('web-1', { key: arn });
    l.lab.faults.add({ service: 'kms', operation: 'GetKeyPolicy', action: { error: 'AccessDeniedException', message: 'no' } });
    const ran = await share(id, { accounts: STAGE });
    expect(ran.exitCode).toBe(0);
    expect(ran.warnings).toEqual([
      `Access of account ${STAGE} to key ${arn} was not checked: its policy cannot be read (kms:GetKeyPolicy).`,
    ]);
    keys(l.lab.core).set(arn, { policy: {}, enabled: false });
    expect((await share(id, { accounts: PROD })).errors.join('\n')).toContain(
      `Key ${arn}, which encrypts ${id}, is not enabled. Enable it.`,
    );
  });

  test('copies are encrypted with the key of their region; without one they could not be shared', async () => {
    const id = l.image('web-1', { key: l.key([STAGE, PROD]) });
    const ran = await share(id, { accounts: STAGE, regions: 'eu-west-1' });
    expect(ran.errors.join('\n')).toContain(
      'The copy in eu-west-1 would be encrypted with the AWS managed key there and could not be shared. Set "kms-key: { eu-west-1: ... }".',
    );
    expect(l.owned(BUILD, 'eu-west-1')).toEqual([]);
    const theirs = 'arn:aws:kms:eu-west-1:{account}:alias/ami';
    const key = l.key([STAGE], { region: 'eu-west-1' });
    await share(id, { accounts: STAGE, regions: 'eu-west-1', 'kms-key': `eu-west-1: ${key}` });
    const keyIn = (account: string) =>
      l
        .owned(account, 'eu-west-1')
        .flatMap(({ devices, place }) => devices.map(({ snapshotId }) => snapshots(place).get(snapshotId ?? '')?.kmsKeyId));
    expect(keyIn(BUILD)).toEqual([key]);
    await share(id, { copy: PROD, regions: 'eu-west-1', 'kms-key': `eu-west-1: ${theirs}` });
    expect(keyIn(PROD)).toEqual([theirs.replace('{account}', PROD)]);
  });
});

describe('what goes wrong on the way', () => {
  test('scenario 46: one of five accounts denies the tags, the others are complete, and the next run does only that one', async () => {
    const id = l.image('web-1');
    const five = ['200000000001', '200000000002', '200000000003', '200000000004', '200000000005'];
    const denied = '200000000003';
    const heal = l.lab.faults.add({ account: denied, operation: 'CreateTags', action: { refuse: 'denied' } });
    const ran = await share(id, { accounts: five.join(',') });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    expect(ran.errors.join('\n')).toContain(
      `1 of 5 targets failed, the others are done:\n- ${denied} in eu-central-1: Not allowed to tag ${id} (ec2:CreateTags)`,
    );
    expect(ran.errors.join('\n')).toContain('Then re-run the job: it does only what is missing.');
    for (const account of five) {
      expect(verdictOf({ id, tags: l.tags(id, account) }, SCHEME).result).toBe(account === denied ? 'none' : 'passed');
      expect(ran.summary).toMatch(
        new RegExp(`\\| \`${account}\` \\| \`eu-central-1\` \\| \`${id}\` \\| ${account === denied ? '❌ access' : '✅ share, tag'} \\|`),
      );
    }
    heal();
    const mark = l.lab.calls.mark();
    expect((await share(id, { accounts: five.join(',') })).outputs['outcome']).toBe('done');
    expect(l.writes(mark)).toEqual([`CreateTags ${denied} eu-central-1`]);
    expect(verdictOf({ id, tags: l.tags(id, denied) }, SCHEME).result).toBe('passed');
  });

  test('an account that AWS refuses does not block the others', async () => {
    const id = l.image('web-1');
    const wrong = '999999999999';
    const names = (input: unknown) => JSON.stringify(input).includes(wrong);
    l.lab.faults.add({
      operation: 'ModifyImageAttribute',
      when: ({ input }) => names(input),
      action: { error: 'InvalidAMIAttributeItemValue', message: `Invalid attribute item value "${wrong}" for userId item type.` },
    });
    const ran = await share(id, { accounts: `${wrong},${STAGE},${PROD}` });
    expect(ran.errors.join('\n')).toMatch(
      /1 of 3 targets failed[\s\S]*- 999999999999 in eu-central-1: AWS refused to share .*: InvalidAMIAttributeItemValue/,
    );
    expect([...l.labImage(id).launchers]).toEqual([STAGE, PROD]);
  });

  test('scenario 47: a copy that fails later is reported with its reason, the other targets are done, and the next run makes it again', async () => {
    const id = l.image('web-1');
    const reason = 'Given key ID is not accessible';
    mishaps(l.lab.place(BUILD, 'eu-west-1')).imageFails.set('web-1', reason);
    const settings = { accounts: STAGE, regions: 'eu-west-1,us-east-1' };
    const ran = await share(id, settings);
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toMatch(
      new RegExp(
        `2 of 5 targets failed, the others are done:\\n- 111122223333 in eu-west-1: ami-\\S+ in account 111122223333, eu-west-1: AWS accepted the copy, which then became failed: ${reason}\\. Check the key \\(kms-key\\)`,
      ),
    );
    expect(
      l.owned(BUILD, 'eu-west-1').map(({ id: copy, state }) => [state, 'ami-action:family' in l.tags(copy, BUILD, 'eu-west-1')]),
    ).toEqual([['failed', false]]);
    expect(l.owned(BUILD, 'us-east-1').map(({ launchers }) => [...launchers])).toEqual([[STAGE]]);
    expect((await l.act('resolve', { image: 'latest' }, { as: { account: STAGE, region: 'eu-west-1' } })).exitCode).toBe(1);
    mishaps(l.lab.place(BUILD, 'eu-west-1')).imageFails.clear();
    const mark = l.lab.calls.mark();
    expect((await share(id, settings)).outputs['outcome']).toBe('done');
    expect(l.writes(mark).map(call => call.split(' ')[0])).toEqual([
      'DeregisterImage',
      'CopyImage',
      'CreateTags',
      // The tags of an unfinished copy.
      'DeleteTags',
      'ModifyImageAttribute',
      'CreateTags',
    ]);
    expect(l.owned(BUILD, 'eu-west-1').map(({ state }) => state)).toEqual(['available']);
  });

  test('scenario 48: the answer of CopyImage is lost, and there is one copy', async () => {
    const id = l.image('web-1');
    l.lab.faults.add({ operation: 'CopyImage', times: 1, action: { reset: 'after' } });
    const mark = l.lab.calls.mark();
    expect((await share(id, { copy: PROD })).exitCode).toBe(0);
    const calls = l.lab.calls.since(mark).filter(({ operation }) => operation === 'CopyImage');
    expect(calls.map(({ outcome }) => outcome)).toEqual(['reset', 'ok']);
    expect(calls.map(({ input }) => input['ClientToken'])).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}/),
      calls[0]?.input['ClientToken'],
    ]);
    expect(l.owned(PROD)).toHaveLength(1);
  });

  test('a shared image that the other account does not see yet is copied as soon as it does', async () => {
    const id = l.image('web-1');
    const action = { error: 'InvalidAMIID.NotFound', message: `The image id '[${id}]' does not exist` };
    l.lab.faults.add({ operation: 'CopyImage', account: PROD, nth: 1, times: 3, action });
    expect(await share(id, { copy: PROD })).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
    expect(l.owned(PROD)).toHaveLength(1);
    const hidden = l.image('web-2');
    l.lab.faults.add({ operation: 'CopyImage', account: PROD, action });
    const ran = await share(hidden, { copy: PROD });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toContain(
      `${hidden} is shared but not visible in account ${PROD}, eu-central-1. Check that Allowed AMIs there list account ${BUILD}.`,
    );
  });

  test('a shared image that the other account does not see yet is tagged as soon as it does: without tags it would have no identity', async () => {
    const id = l.image('web-1');
    const action = { error: 'InvalidAMIID.NotFound', message: `The image id '[${id}]' does not exist` };
    l.lab.faults.add({ operation: 'CreateTags', account: STAGE, times: 2, action });
    expect(await share(id, { accounts: STAGE })).toMatchObject({ exitCode: 0, errors: [], outputs: { outcome: 'done' } });
    expect(l.tags(id, STAGE)).toMatchObject({ 'ami-action:family': 'web', 'ami-action:commit': COMMIT });
  });

  test('an image of another origin with the same name is reported and not changed', async () => {
    const id = l.image('web-1');
    const theirs = l.image('web-1', { tags: { 'ami-action:created-at': '2020-01-01T00:00:00.000Z' } }, l.lab.place(PROD));
    const ran = await share(id, { copy: PROD });
    expect(ran.errors.join('\n')).toContain(
      `${theirs} in account ${PROD}, eu-central-1 already has the name "web-1" and is no copy of ${id}`,
    );
    expect(l.owned(PROD).map(image => image.id)).toEqual([theirs]);
  });

  test('scenario 50: Allowed AMIs of the account exclude it; audit mode does not', async () => {
    const id = l.image('web-1');
    const settings = allowedImages(l.lab.place(STAGE));
    Object.assign(settings, { state: 'enabled', criteria: [{ ImageProviders: ['amazon'] }] });
    const ran = await share(id, { accounts: `${STAGE},${PROD}` });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    expect(ran.errors.join('\n')).toContain(
      `1 of 2 targets failed, the others are done:\n- ${STAGE} in eu-central-1: Account ${STAGE} does not allow the image in eu-central-1: Allowed AMIs there do not list account ${BUILD}. It cannot be launched there.`,
    );
    expect(ran.errors.join('\n')).toContain(`Next: In account ${STAGE}, add ${BUILD} to the image providers of Allowed AMIs`);
    expect([[...l.labImage(id).launchers], l.tags(id, STAGE)]).toEqual([[PROD], {}]);
    settings.state = 'audit-mode';
    expect((await share(id, { accounts: STAGE })).exitCode).toBe(0);
    Object.assign(settings, { state: 'enabled', criteria: [{ ImageProviders: [BUILD] }] });
    expect(await share(id, { accounts: STAGE })).toMatchObject({ exitCode: 0, warnings: [] });
    Object.assign(settings, { criteria: [{ ImageProviders: [BUILD], ImageNames: ['golden-*'] }] });
    const named = await share(id, { accounts: STAGE });
    expect(named.errors.join('\n')).toContain(`does not allow the image in eu-central-1: Allowed AMIs there do not match the name "web-1"`);
  });

  test('scenario 50: conditions of Allowed AMIs that cannot be evaluated are a warning', async () => {
    const id = l.image('web-1');
    const settings = allowedImages(l.lab.place(STAGE));
    const criteria = [{ ImageProviders: [BUILD], ScanResultCondition: { MaxDaysSinceLastFindingScan: 7 } }];
    Object.assign(settings, { state: 'enabled', criteria });
    expect((await share(id, { accounts: STAGE })).warnings).toEqual([
      `Allowed AMIs of account ${STAGE} in eu-central-1 were not checked: the setting has conditions on ScanResultCondition.`,
    ]);
  });

  test('scenario 50: accounts without a role to check them are reported once', async () => {
    const id = l.image('web-1');
    const note = `Not checked in ${STAGE}, ${PROD}: Allowed AMIs, and the image has no tags there. To write tags and check, set "target-role" for accounts.`;
    const wanted = { accounts: `${STAGE},${PROD}`, regions: 'eu-west-1' };
    for (const more of [{ 'dry-run': 'true' }, {}]) {
      const ran = await share(id, { ...wanted, 'target-role': '', ...more });
      expect([ran.exitCode, ran.warnings, ran.summary.split(`> ${note}`).length, ran.log.split(note).length]).toEqual([0, [], 2, 2]);
    }
    expect((await share(id, wanted)).log).not.toContain('Not checked in');
  });

  test('scenario 50: Allowed AMIs that exclude the image prevent a copy, before the account gets access; an existing copy counts', async () => {
    const id = l.image('web-1');
    const settings = allowedImages(l.lab.place(PROD));
    Object.assign(settings, { state: 'enabled', criteria: [{ ImageProviders: ['amazon'] }] });
    const wanted = { accounts: STAGE, copy: PROD, regions: 'eu-west-1' };
    const ran = await share(id, wanted);
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    for (const region of [HOME, 'eu-west-1'])
      expect(ran.errors.join('\n')).toContain(
        `- ${PROD} in ${region}: Account ${PROD} does not allow the image in ${HOME}: Allowed AMIs there do not list account ${BUILD}. It cannot be copied there.`,
      );
    expect([[...l.labImage(id).launchers], [...(snapshotOf(id)?.readers ?? [])], l.owned(PROD), l.owned(PROD, 'eu-west-1')]).toEqual([
      [STAGE],
      [],
      [],
      [],
    ]);
    settings.state = 'disabled';
    expect(await share(id, wanted)).toMatchObject({ exitCode: 0, warnings: [], outputs: { outcome: 'done' } });
    settings.state = 'enabled';
    expect(await share(id, wanted)).toMatchObject({ exitCode: 0, warnings: [], outputs: { outcome: 'unchanged' } });
  });

  test('a region that is not enabled is one line, and the others get the image', async () => {
    const id = l.image('web-1');
    l.lab.faults.add({
      region: 'us-east-1',
      service: 'ec2',
      action: { error: 'OptInRequired', message: 'You are not subscribed to this service.', status: 401 },
    });
    const ran = await share(id, { accounts: STAGE, regions: 'us-east-1,eu-west-1' });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    expect(ran.errors.join('\n')).toMatch(
      /2 of 5 targets failed[\s\S]*- 111122223333 in us-east-1: Not allowed to list images \(ec2:DescribeImages\): OptInRequired/,
    );
    expect(l.owned(BUILD, 'eu-west-1').map(({ launchers }) => [...launchers])).toEqual([[STAGE]]);
    expect(l.owned(BUILD, 'us-east-1')).toEqual([]);
  });

  test('a copy that takes too long is a timeout, and the next run continues to wait', async () => {
    await l.lab.close();
    l = await shareLab({ speed: 240, timings: { copy: 600 } });
    const id = l.image('web-1');
    const ran = await share(id, { copy: PROD, timeout: '1m' });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'timeout']);
    expect(ran.errors.join('\n')).toMatch(/gave up after 1m\. Last seen: copy is pending[\s\S]*it finds ami-\S+ and continues from there/);
    expect((await share(id, { copy: PROD })).outputs['outcome']).toBe('done');
    expect(l.owned(PROD)).toHaveLength(1);
  });

  test('only accounts that copy get access to the snapshot', async () => {
    const id = l.image('web-1');
    await share(id, { accounts: STAGE, copy: PROD });
    expect([...(snapshotOf(id)?.readers ?? [])]).toEqual([PROD]);
  });

  test('scenario 81: no output holds an account ID, which the runner would drop where it is masked', async () => {
    const id = l.image('web-1');
    const ran = await share(id, { accounts: STAGE, copy: PROD, regions: 'eu-west-1' });
    const found = await l.act('resolve', { image: `commit:${COMMIT}` }, { as: { account: PROD } });
    const values = [...Object.values(ran.outputs), ...Object.values(found.outputs)].join('\n');
    expect(values).toContain(id);
    expect([BUILD, STAGE, PROD].filter(account => values.includes(account))).toEqual([]);
  });
});
