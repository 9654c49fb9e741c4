import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { images } from '../../lab/ec2/images.ts';
import { dropTags, tagsOf } from '../../lab/ec2/state.ts';
import type { Lab } from '../../lab/lab.ts';
import type { Place } from '../../lab/place.ts';
import { type Order, type Ran, runAction } from '../../lab/runner.ts';
import { familyOfFive, pruneLab, REAL } from './prune-lab.ts';
import { rollLab } from './roll-lab.ts';
import { passChecks, STAGE, shareLab } from './share-lab.ts';

/** A run of each mode, and what must be true of the account however the answers of AWS are spoilt. */
export interface Story {
  readonly lab: Lab;
  readonly run: (more: Partial<Order>) => Promise<Ran>;
  /** What is wrong afterwards, a line each. */
  readonly problems: (ran: Ran) => readonly string[];
}

/** How a run may end. `bug` is never one of them. */
export const ALLOWED = ['done', 'unchanged', 'planned', 'usage', 'access', 'rejected', 'timeout', 'unknown'];

const WRITES = /^(?!Describe|Get|List|Assume|Simulate)/;
const unless = (holds: boolean, problem: string): readonly string[] => (holds ? [] : [problem]);
const wroteNothing = (lab: Lab, mark: number) =>
  lab.calls.since(mark).flatMap(({ operation }) => (WRITES.test(operation) ? [`wrote ${operation}`] : []));
const tagsAsJson = (place: Place, ids: readonly string[]) => JSON.stringify(ids.map(id => tagsOf(place, id)));

export const STORIES: Readonly<Record<string, () => Promise<Story>>> = {
  list: async () => {
    const l = await familyOfFive();
    const mark = l.lab.calls.mark();
    return { lab: l.lab, run: more => l.act('list', {}, more), problems: () => wroteNothing(l.lab, mark) };
  },
  resolve: async () => {
    const l = await familyOfFive();
    const mark = l.lab.calls.mark();
    const wanted = { family: 'web', environment: 'prod', image: 'environment:prod' };
    const run = (more: Partial<Order>) => runAction({ mode: 'resolve', with: wanted, lab: l.lab, ...more });
    const isRight = ({ outputs }: Ran) => [undefined, l.id('d40')].includes(outputs['ami-id']);
    return { lab: l.lab, run, problems: ran => [...wroteNothing(l.lab, mark), ...unless(isRight(ran), `chose ${ran.outputs['ami-id']}`)] };
  },
  prune: async () => {
    const l = await familyOfFive();
    await l.group('batch', l.id('d20'));
    const lost = () => ['d40', 'd20', 'd10'].filter(name => !l.there().includes(name));
    return { lab: l.lab, run: more => l.act('prune', REAL, more), problems: () => lost().map(name => `removed ${name}`) };
  },
  delete: async () => {
    const l = await familyOfFive();
    const run = (more: Partial<Order>) => l.act('delete', { image: l.id('d40'), 'dry-run': 'false' }, more);
    return { lab: l.lab, run, problems: () => unless(l.there().length === 5, `${l.there().join()} are left`) };
  },
  adopt: async () => {
    const l = await pruneLab();
    for (const name of ['base-1', 'base-2', 'other']) l.image(name, { daysOld: 5, untagged: name !== 'other', tags: { owner: 'ops' } });
    const before = tagsAsJson(l.home, [l.id('other')]);
    const run = (more: Partial<Order>) => l.act('adopt', { images: 'base-*', 'dry-run': 'false' }, more);
    const adopted = () => ['base-1', 'base-2'].filter(name => l.tags(name)['ami-action:family'] === 'web').length;
    const isKept = (name: string) => l.tags(name)['owner'] === 'ops';
    const problems = (ran: Ran) => [
      ...unless(tagsAsJson(l.home, [l.id('other')]) === before, 'tagged another image'),
      ...unless(isKept('base-1') && isKept('base-2'), 'lost a tag'),
      ...unless(ran.outputs['outcome'] !== 'done' || ran.outputs['adopted'] === String(adopted()), 'done without the tags'),
    ];
    return { lab: l.lab, run, problems };
  },
  share: async () => {
    const l = await shareLab();
    const [image, other] = [l.image('web-1'), l.image('web-2')];
    const run = (more: Partial<Order>) => l.act('share', { image, accounts: STAGE }, more);
    const launchers = () => [...l.labImage(image).launchers].filter(one => one !== STAGE);
    return { lab: l.lab, run, problems: () => [...l.labImage(other).launchers, ...launchers()].map(one => `shared with ${one}`) };
  },
  promote: async () => {
    const l = await rollLab({ speed: 1200 });
    const [first, second] = [l.image('web-a'), l.image('web-b')];
    await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: first }), Version: '1' });
    await l.pointerTo(first);
    const run = (more: Partial<Order>) => l.act('promote', { image: second, groups: 'web', bake: '1m', 'roll-timeout': '30m' }, more);
    return { lab: l.lab, run, problems: ran => rolledOut(l, ran, first, second) };
  },
  rollback: async () => {
    const l = await rollLab({ speed: 1200 });
    const [first, second] = [l.image('web-a'), l.image('web-b')];
    await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: second }), Version: '1' });
    for (const image of [first, second]) await l.pointerTo(image);
    const run = (more: Partial<Order>) => l.act('rollback', { groups: 'web', bake: '1m', 'roll-timeout': '30m' }, more);
    return { lab: l.lab, run, problems: ran => rolledOut(l, ran, second, first) };
  },
  doctor: async () => {
    const l = await rollLab({ speed: 1200 });
    const image = l.image('web-a');
    await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: image }), Version: '1' });
    await l.pointerTo(image);
    const mark = l.lab.calls.mark();
    const files = { '.github/ami.yml': 'family: web\nregion: eu-central-1\nenvironments:\n  stage: { groups: [web] }\n' };
    const run = (more: Partial<Order>) => runAction({ mode: 'doctor', with: { environment: 'stage' }, files, lab: l.lab, ...more });
    return { lab: l.lab, run, problems: () => wroteNothing(l.lab, mark) };
  },
  validate: async () => validateStory(),
  build: async () => buildStory(),
};

/** The pointer names one of the two images, and the new one only if every instance runs it. */
function rolledOut(l: Awaited<ReturnType<typeof rollLab>>, ran: Ran, before: string, after: string): readonly string[] {
  const runs = [...new Set(l.runs('web'))].join();
  return [
    ...unless([before, after].includes(l.pointer() ?? ''), `the pointer names ${l.pointer()}`),
    ...unless(l.pointer() !== after || runs === after, `the pointer names the new image, instances run ${runs}`),
    ...unless(ran.outputs['outcome'] !== 'done' || l.pointer() === after, 'done with the old pointer'),
  ];
}

/** A good image: no outage of a service may store that it failed. */
async function validateStory(): Promise<Story> {
  // Slower than the others: a busy machine must not look like an image that does not answer.
  const l = await shareLab({ speed: 120 });
  const [image, other] = [l.image('web-1'), l.image('web-2')];
  dropTags(l.home, image, ['ami-action:verdict']);
  passChecks(l);
  const before = tagsAsJson(l.home, [other]);
  const order = { mode: 'validate', lab: l.lab, with: { family: 'web', image, checks: '- command: "true"' } };
  const run = async (more: Partial<Order>) => {
    const ran = await runAction({ ...order, ...more });
    const post = await runAction({ ...order, ...more, postOf: ran });
    return { ...ran, log: ran.log + post.log };
  };
  const problems = (ran: Ran) => [
    ...unless(tagsAsJson(l.home, [other]) === before, 'tagged another image'),
    ...unless(!tagsOf(l.home, image)['ami-action:verdict']?.startsWith('failed'), 'condemned a good image'),
    ...unless(ran.outputs['outcome'] !== 'done' || ran.outputs['verdict'] === 'passed', `done with ${ran.outputs['verdict']}`),
  ];
  return { lab: l.lab, run, problems };
}

/** Packer is a script that says it made an image, which is there. */
async function buildStory(): Promise<Story> {
  const l = await pruneLab({ speed: 1200 });
  const family = ['old', 'older'].map(name => l.image(name, { daysOld: 9 }));
  const stranger = l.image('stranger', { daysOld: 1, untagged: true, tags: { owner: 'ops' } });
  const made = l.image('made', { daysOld: 0, untagged: true });
  const before = tagsAsJson(l.home, [...family, stranger]);
  const bin = mkdtempSync(join(tmpdir(), 'ami-action-fuzz-'));
  const lines = ['artifact,0,builder-id,mitchellh.amazonebs', `artifact,0,id,${l.home.region}:${made}`, 'artifact,0,end'];
  const build = lines.map(line => `echo "1700000000,amazon-ebs.own,${line}"`).join('; ');
  const script = `#!/bin/sh\ncase "$1" in\nversion) echo "Packer v1.16.0" ;;\ninspect) echo "1,,ui,say,ok" ;;\nbuild) ${build} ;;\nesac\n`;
  writeFileSync(join(bin, 'packer'), script, { mode: 0o755 });
  const template = 'source "amazon-ebs" "own" {\n  ami_name = "web"\n}\nbuild {\n  sources = ["source.amazon-ebs.own"]\n}\n';
  const order = { mode: 'build', lab: l.lab, env: { PATH: `${bin}:/usr/bin:/bin` } };
  const wanted = { family: 'web', template: 'image.pkr.hcl', timeout: '20m' };
  const run = async ({ env, ...more }: Partial<Order>) => {
    const first = { ...order, ...more, with: wanted, env: { ...order.env, ...env } };
    const ran = await runAction({ ...first, files: { 'image.pkr.hcl': template } });
    const post = await runAction({ ...first, postOf: ran });
    return { ...ran, log: ran.log + post.log };
  };
  const isDone = (ran: Ran) => ran.outputs['outcome'] === 'done';
  const problems = (ran: Ran) => [
    ...unless(tagsAsJson(l.home, [...family, stranger]) === before, 'tagged another image'),
    ...unless(
      ['old', 'older', 'stranger'].every(name => l.there().includes(name)),
      `${l.there().join()} are left`,
    ),
    ...unless(!isDone(ran) || tagsOf(l.home, made)['ami-action:family'] === 'web', 'done without the tag'),
    ...unless(!isDone(ran) || images(l.home).get(made)?.state === 'available', 'done without the image'),
  ];
  return { lab: l.lab, run, problems };
}
