import { GenerateMacCommand, KMSClient } from '@aws-sdk/client-kms';
import { images, snapshots } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { defaultKey } from '../../lab/ec2/snapshot-state.ts';
import { type LabImage, type LabSnapshot, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { newId } from '../../lab/ids.ts';
import { keys } from '../../lab/kms/keys.ts';
import { startLab } from '../../lab/lab.ts';
import { type PaperHypervisor, paperHypervisor } from '../../lab/machines/paper.ts';
import type { Place } from '../../lab/place.ts';
import { commands } from '../../lab/ssm/command-state.ts';
import { scriptFor } from '../../lab/ssm/script.ts';
import type { Timings } from '../../lab/timings.ts';
import { signedText, verdictOf, verdictValue } from '../../src/model/verdict.ts';
import { type Order, type Ran, runAction } from '../harness.ts';

/** A lab of several accounts and regions; the images live in the first of each. Pages hold two things. */

export const BUILD = '111122223333';
export const STAGE = '444455556666';
export const PROD = '777788889999';
export const ROLE = 'arn:aws:iam::{account}:role/ami-delivery';
export const COMMIT = 'c0ffee0000000000000000000000000000000000';
export const HOME = 'eu-central-1';
export const FURTHER = ['eu-west-1', 'us-east-1'] as const;

const WRITES = /^(?!Describe|Get|List|Assume)/;

export async function shareLab({ speed = 600, timings = {} }: { speed?: number; timings?: Partial<Timings> } = {}) {
  const lab = await startLab({ machines: paperHypervisor(), speed, timings, hostManagement: true });
  const home = lab.place();
  mishaps(home).pageSize = 2;
  return {
    lab,
    home,
    /** A passed image, unless said otherwise. */
    image(name: string, { tags = {}, key }: { tags?: Record<string, string>; key?: string } = {}, place: Place = home): string {
      const id = newId('ami');
      const snapshotId = `snap-${id.slice('ami-'.length)}`;
      images(place).set(id, { ...blank(place), id, name, devices: [device(snapshotId, key !== undefined)] });
      const kept = { id: snapshotId, place, volumeId: 'vol-1', description: '', sizeGiB: 8, startedAt: lab.clock.date() };
      snapshots(place).set(snapshotId, {
        ...kept,
        ...{ state: 'completed', stateMessage: '', encrypted: key !== undefined, kmsKeyId: key, readers: new Set() },
        disk: () => lab.core.hypervisor.baseDisk(),
      });
      const identity = {
        family: 'web',
        commit: COMMIT,
        version: '1.2.0',
        'created-at': '2026-05-01T12:00:00.000Z',
        fingerprint: 'f'.repeat(64),
        run: '7',
      };
      const ours = Object.fromEntries(Object.entries(identity).map(([kind, value]) => [`ami-action:${kind}`, value]));
      const verdict = {
        'ami-action:verdict': verdictValue(id, { result: 'passed', checks: 'a'.repeat(32), at: new Date(lab.clock.now()) }),
      };
      setTags(place, snapshotId, ours);
      setTags(place, id, { Name: name, ManagedBy: 'ami-action', team: 'web', ...ours, ...verdict, ...tags });
      return id;
    },
    /** Signs its verdict, as validate does with a "verdict-key". */
    async sign(id: string, key: string, place: Place = home): Promise<void> {
      const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
      const { verdict } = verdictOf({ id, tags: tagsOf(place, id) }, scheme);
      if (verdict === undefined) throw new Error(`${id} has no verdict`);
      const credentials = { accessKeyId: lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' };
      const kms = new KMSClient({ endpoint: lab.url, region: place.region, credentials });
      const Message = Buffer.from(signedText({ id, tags: tagsOf(place, id) }, verdict, scheme));
      const { Mac = Buffer.of() } = await kms.send(new GenerateMacCommand({ KeyId: key, Message, MacAlgorithm: 'HMAC_SHA_256' }));
      setTags(place, id, { 'ami-action:verdict': verdictValue(id, { ...verdict, mac: Buffer.from(Mac).toString('base64') }) });
    },
    snapshot: (id: string, place: Place = home): LabSnapshot => snapshots(place).get(id) as LabSnapshot,
    async until(isSo: () => boolean | Promise<boolean>, seconds = 20): Promise<void> {
      for (const end = Date.now() + seconds * 1000; Date.now() < end; await new Promise(done => setTimeout(done, 20)))
        if (await isSo()) return;
      throw new Error('it did not come to that in time');
    },
    labImage: (id: string, place: Place = home): LabImage => images(place).get(id) as LabImage,
    /** Own images of an account, all regions alike. */
    owned: (account: string, region: string = HOME): LabImage[] =>
      [...images(lab.place(account, region)).values()].filter(({ state }) => state !== 'deregistered'),
    tags: (id: string, account: string, region: string = HOME) => tagsOf(lab.place(account, region), id),
    /** A key of our own; its policy names these accounts. */
    key(accounts: readonly string[], { grants = [], region = HOME }: { grants?: readonly string[]; region?: string } = {}): string {
      const arn = `arn:aws:kms:${region}:${BUILD}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
      const principals = accounts.map(account => `arn:aws:iam::${account}:root`);
      keys(lab.core).set(arn, {
        policy: {
          Statement: [
            { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${BUILD}:root` }, Action: 'kms:*', Resource: '*' },
            { Effect: 'Allow', Principal: { AWS: principals }, Action: ['kms:Decrypt', 'kms:CreateGrant'], Resource: '*' },
          ],
        },
        grants: grants.map(grantee => ({ grantee, operations: ['Decrypt'] })),
      });
      return arn;
    },
    defaultKey: () => defaultKey(home),
    writes: (since: number): string[] =>
      lab.calls
        .since(since)
        .filter(({ operation }) => WRITES.test(operation))
        .map(({ operation, account, region }) => `${operation} ${account} ${region}`),
    act: (mode: string, wanted: Readonly<Record<string, string>> = {}, more: Partial<Order> = {}): Promise<Ran> =>
      runAction({ mode, with: { family: 'web', ...wanted }, lab, ...more }),
  };
}

export type ShareLab = Awaited<ReturnType<typeof shareLab>>;

/** Paper machines answer the one check of a validation: passed, or failed with this exit code. */
export function passChecks({ home }: Pick<ShareLab, 'home'>, exitCode = 0): void {
  const exec: PaperHypervisor['answers']['exec'] = (_, { instanceId }) => {
    const own = [...commands(home).values()].filter(({ invocations }) => invocations.some(one => one.instanceId === instanceId));
    const script = own.map(scriptFor).findLast(text => text.includes('nonce=')) ?? '';
    const nonce = /nonce=(\w+)/.exec(script)?.[1];
    const ending = exitCode === 0 ? 'ok 0' : `code ${exitCode}`;
    return { exitCode: 0, stdout: `${nonce} begin 1 0-1@0\n${nonce} 0 ${ending} 10 1 0 -\n${nonce} end 0\n`, stderr: '' };
  };
  Object.assign((home.core.hypervisor as PaperHypervisor).answers, { exec });
}

const blank = (place: Place): Omit<LabImage, 'id' | 'name' | 'devices'> => ({
  ...{ place, description: '', architecture: 'x86_64', createdAt: place.core.clock.date(), state: 'available', stateReason: undefined },
  ...{ rootDevice: '/dev/xvda', source: { imageId: '', region: '', instanceId: '' }, imdsV2: true, deprecateAt: undefined },
  ...{ launchers: new Set(), lastLaunchedAt: undefined, protection: { enabled: false, cooldown: false, until: undefined } },
});

const device = (snapshotId: string, encrypted: boolean): LabImage['devices'][number] => ({
  ...{ device: '/dev/xvda', snapshotId, sizeGiB: 8, volumeType: 'gp3', deleteOnTermination: true, encrypted },
});
