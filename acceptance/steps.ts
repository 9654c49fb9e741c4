import { DescribeImagesCommand, DescribeInstancesCommand } from '@aws-sdk/client-ec2';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import type { Ran } from '../lab/runner.ts';
import { type Cloud, ENVIRONMENT, NAME, OWN_FILTER, OWN_PATH } from './cloud.ts';
import { imageHours, instanceHours, type Usage } from './cost.ts';
import { askPoints } from './points.ts';
import { rollBackAgain, untilRefresh } from './refreshes.ts';
import { createDeliveryStack, createEnvironmentStack, createGroup, createProbeStack, imagesInService, until } from './scene.ts';
import { type Act, act, have, type Stage } from './stage.ts';
import type { Subject } from './token.ts';

/** The story of a run. Each step returns what it saw, or throws. */
export interface Step {
  readonly title: string;
  /** What the step uses by the hour. */
  readonly uses?: (hours: number) => readonly Usage[];
  run(stage: Stage): Promise<string>;
}

const BASE = 'name:136693071363/debian-12-amd64-*';
const CHECKS = '- service: web\n- http: { port: 8080, path: /health }\n- no-failed-units';

function expectOutcome(ran: Ran, outcome: string): Ran {
  const got = ran.outputs['outcome'] ?? `exit ${ran.exitCode}`;
  if (got !== outcome) throw new Error(`Outcome is ${got}, must be ${outcome}. ${ran.errors.join(' ')}`);
  return ran;
}

function expectEqual(what: string, actual: unknown, wanted: unknown): void {
  const [got, must] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (got !== must) throw new Error(`${what} is ${got}, must be ${must}.`);
}

const environment = { environment: ENVIRONMENT, pointer: `${OWN_PATH}/{environment}` };
const rollout = { ...environment, groups: NAME, 'warm-up': '60s', bake: '5m', deployment: 'false' };

const roll = (stage: Stage, mode: 'promote' | 'rollback', wanted: Record<string, string>, more: Partial<Act> = {}): Promise<Ran> =>
  act(stage, { mode, as: 'rollout', with: { ...rollout, ...wanted }, ...more });

const pointerOf = async ({ ssm }: Cloud): Promise<string | undefined> =>
  (await ssm.send(new GetParameterCommand({ Name: `${OWN_PATH}/${ENVIRONMENT}` }))).Parameter?.Value;

/** Group and pointer, by the answers of AWS. */
async function expectServing(cloud: Cloud, image: string, size: number): Promise<void> {
  expectEqual(`The group in ${cloud.region}`, await imagesInService(cloud), Array(size).fill(image));
  expectEqual(`The pointer in ${cloud.region}`, await pointerOf(cloud), image);
}

const build =
  (name: string, version: string, commit: string, outcome: 'done' | 'unchanged') =>
  async (stage: Stage): Promise<string> => {
    const variables = { ...stage.packerVariables, app_version: version };
    const settings = {
      ...{ 'base-image': BASE, 'instance-type': 't3.small', name: `${NAME}-{version}-{timestamp}`, version },
      var: Object.entries(variables)
        .map(([key, value]) => `${key}: ${value}`)
        .join('\n'),
    };
    const { outputs } = expectOutcome(await act(stage, { mode: 'build', as: 'images', with: settings, commit }), outcome);
    const image = outputs['ami-id'] ?? '';
    if (outcome === 'unchanged') expectEqual('The image', image, have(stage, name));
    stage.made.set(name, image);
    return `${image}: ${outputs['reason']}`;
  };

const validate =
  (name: string) =>
  async (stage: Stage): Promise<string> => {
    const image = have(stage, name);
    const settings = { image, checks: CHECKS, 'test-instance-types': 't3.micro', 'instance-profile': `${NAME}-test` };
    const { outputs } = expectOutcome(await act(stage, { mode: 'validate', as: 'images', with: settings }), 'done');
    expectEqual('The verdict', outputs['verdict'], 'passed');
    return `${outputs['passed']} checks passed`;
  };

const share =
  (name: string) =>
  async (stage: Stage): Promise<string> => {
    const wanted = { image: have(stage, name), regions: stage.away.region };
    const { outputs } = expectOutcome(await act(stage, { mode: 'share', as: 'images', with: wanted }), 'done');
    const copy = (JSON.parse(outputs['ami-ids'] ?? '{}') as Record<string, string>)[stage.away.region] ?? '';
    stage.made.set(`${name} away`, copy);
    return `${copy} in ${stage.away.region}`;
  };

async function createGroups(stage: Stage, subject: Subject): Promise<string> {
  const { home, away } = stage;
  const [first, second] = [
    await createGroup(home, { image: have(stage, 'first'), size: 2, balanced: true }),
    await createGroup(away, { image: have(stage, 'first away'), size: 1, balanced: false }),
  ];
  await createEnvironmentStack(stage, subject, [first, second]);
  await until(stage, 20, 'three instances in service', async () => {
    const counts = await Promise.all([imagesInService(home), imagesInService(away)]);
    return counts[0]?.length === 2 && counts[1]?.length === 1;
  });
  return `2 instances in ${home.region}, 1 in ${away.region}`;
}

async function promoteFirst(stage: Stage): Promise<string> {
  expectOutcome(await roll(stage, 'promote', { image: have(stage, 'first'), regions: stage.away.region }), 'done');
  await expectServing(stage.home, have(stage, 'first'), 2);
  await expectServing(stage.away, have(stage, 'first away'), 1);
  return 'both pointers name the image that the groups already ran';
}

async function buildFromInstance(stage: Stage): Promise<string> {
  const { Reservations = [] } = await stage.home.ec2.send(
    new DescribeInstancesCommand({ Filters: [OWN_FILTER, { Name: 'instance-state-name', Values: ['running'] }] }),
  );
  const instance = Reservations[0]?.Instances?.[0]?.InstanceId ?? '';
  const settings = { 'from-instance': instance, name: `${NAME}-unused-{timestamp}`, version: '0.0.1' };
  const { outputs } = expectOutcome(await act(stage, { mode: 'build', as: 'images', with: settings, commit: '3' }), 'done');
  stage.made.set('unused', outputs['ami-id'] ?? '');
  return `${outputs['ami-id']} of ${instance}`;
}

async function rollBackWhileBaking(stage: Stage): Promise<string> {
  const [first, second] = [have(stage, 'first'), have(stage, 'second')];
  // The rollback ends it.
  const promotion = roll(stage, 'promote', { image: second, bake: '1h' });
  await untilRefresh(stage, stage.home, ['Baking']);
  const rollback = roll(stage, 'rollback', {});
  await untilRefresh(stage, stage.home, ['RollbackInProgress']);
  stage.seen.set('asg-3a', await rollBackAgain(stage.home));
  expectOutcome(await rollback, 'done');
  const { outputs } = await promotion;
  await expectServing(stage.home, first, 2);
  stage.seen.set('asg-3b', await rollBackAgain(stage.home));
  return `the group runs ${first} again; the promotion ended ${outputs['outcome']}`;
}

async function promoteTwice(stage: Stage): Promise<string> {
  const image = have(stage, 'second');
  // Long enough for the second run to begin.
  const wanted = { image, 'lift-veto': 'true', bake: '10m' };
  const one = roll(stage, 'promote', wanted);
  await untilRefresh(stage, stage.home, ['Pending', 'InProgress']);
  const two = roll(stage, 'promote', wanted);
  const [first, second] = [await one, await two];
  await expectServing(stage.home, image, 2);
  expectOutcome(second, 'done');
  // It ends before the second one writes its candidate, or is rejected because the second one took over.
  if (first.outputs['outcome'] === 'done') return 'both runs ended as done';
  const reason = expectOutcome(first, 'rejected').errors.join(' ');
  if (!reason.includes('Another run took over the environment'))
    throw new Error(`The first run was rejected for another reason: ${reason}`);
  return 'the second run took over and watched the refresh of the first';
}

async function cancel(stage: Stage): Promise<string> {
  const [first, second] = [have(stage, 'first'), have(stage, 'second')];
  let stop = () => {};
  const wanted = { image: first, 'on-cancel': 'rollback' };
  const onStart: Act['onStart'] = child => {
    stop = () => void child.kill('SIGINT');
  };
  const promotion = roll(stage, 'promote', wanted, { onStart });
  await untilRefresh(stage, stage.home, ['InProgress']);
  stop();
  expectOutcome(await promotion, 'cancelled');
  await untilRefresh(stage, stage.home, ['RollbackSuccessful']);
  await expectServing(stage.home, second, 2);
  return `AWS returned the group to ${second}`;
}

async function twoRegions(stage: Stage): Promise<string> {
  const { away, home } = stage;
  const regions = { regions: away.region };
  expectOutcome(await roll(stage, 'promote', { image: have(stage, 'second'), ...regions }), 'done');
  await expectServing(home, have(stage, 'second'), 2);
  await expectServing(away, have(stage, 'second away'), 1);
  expectOutcome(await roll(stage, 'rollback', regions), 'done');
  await expectServing(home, have(stage, 'first'), 2);
  await expectServing(away, have(stage, 'first away'), 1);
  return 'promoted in the second region, then rolled back in both';
}

async function prune(stage: Stage): Promise<string> {
  const settings = { 'keep-newest': '1', 'keep-passed': '1', 'minimum-age': '0s', 'rollback-depth': '1', pointer: environment.pointer };
  const run = (more: Record<string, string>) => act(stage, { mode: 'prune', as: 'images', with: { ...settings, ...more } });
  const plan = expectOutcome(await run({}), 'planned');
  expectEqual('The number of images to remove', plan.outputs['removed'], '1');
  const hash = plan.outputs['plan-hash'] ?? '';
  expectOutcome(await run({ 'dry-run': 'false', 'plan-hash': hash }), 'done');
  const { Images = [] } = await stage.home.ec2.send(new DescribeImagesCommand({ Owners: ['self'], Filters: [OWN_FILTER] }));
  const ids = Images.map(({ ImageId = '' }) => ImageId).sort();
  expectEqual('The images that remain', ids, [have(stage, 'first'), have(stage, 'second')].sort());
  return `${have(stage, 'unused')} is gone, and no other image`;
}

const testInstance = (hours: number) => instanceHours('t3.micro', 1, hours);
const buildInstance = (hours: number) => instanceHours('t3.small', 1, hours);

/** The steps in order. `subject`: what the trust policies of the stacks ask of a token. */
export const steps = (subject: Subject): readonly Step[] => [
  {
    title: 'Deploy the stacks',
    run: async stage => {
      await createDeliveryStack(stage, subject);
      await createProbeStack(stage);
      return 'complete';
    },
  },
  { title: 'Build', uses: buildInstance, run: build('first', '1.0.0', '1', 'done') },
  { title: 'Build the same commit again', run: build('first', '1.0.0', '1', 'unchanged') },
  { title: 'Validate', uses: testInstance, run: validate('first') },
  { title: 'Share with the second region', run: share('first') },
  { title: 'Create the groups', run: stage => createGroups(stage, subject) },
  { title: 'Promote in two regions', run: promoteFirst },
  { title: 'Build from an instance', run: buildFromInstance },
  { title: 'Build the next commit', uses: buildInstance, run: build('second', '2.0.0', '2', 'done') },
  { title: 'Validate it', uses: testInstance, run: validate('second') },
  { title: 'Share it with the second region', run: share('second') },
  { title: 'Roll back while baking', run: rollBackWhileBaking },
  { title: 'Promote twice at once', run: promoteTwice },
  { title: 'Cancel a promotion', run: cancel },
  { title: 'Promote and roll back two regions', run: twoRegions },
  { title: 'Prune', run: prune },
  { title: 'Ask about the suspected points', run: askPoints },
];

/** What exists for the whole run, at most: groups with one instance more than they have, load balancer, six images with their copies. */
export const usesOfRun = (hours: number): readonly Usage[] => [
  ...instanceHours('t3.nano', 5, hours),
  { what: 'load balancer', count: 1, hours },
  imageHours(6, hours),
];
