import { type RollLab, rollLab } from '../__tests__/dist/roll-lab.ts';
import { removeWorkspaces } from '../lab/runner.ts';

/** A promotion of many groups compared with one: API calls per group and duration. `npm run benchmark:promote -- [number of groups]` */

const many = Number(process.argv[2] ?? 50);
// Slow enough that the load of the lab on this machine does not count.
const SPEED = 30;

interface Cost {
  readonly groups: number;
  readonly calls: number;
  readonly seconds: number;
}

try {
  const [one, all] = [await promoted(1), await promoted(many)];
  for (const { groups, calls, seconds } of [one, all]) {
    const each = (calls / groups).toFixed(1);
    console.log(
      `${String(groups).padStart(4)} groups ${String(calls).padStart(6)} calls ${each.padStart(6)} per group ${seconds.toFixed(0).padStart(5)} s`,
    );
  }
  console.log(`wall ratio ${(all.seconds / one.seconds).toFixed(2)}`);
} finally {
  removeWorkspaces();
}

async function promoted(count: number): Promise<Cost> {
  const lab = await rollLab({ speed: SPEED, timings: { boot: 1, statusChecks: 1, shutdown: 1 } });
  try {
    return await measured(lab, count);
  } finally {
    await lab.lab.close();
  }
}

async function measured(l: RollLab, count: number): Promise<Cost> {
  const [before, after] = [l.image('before'), l.image('after')];
  const template = await l.template('web', { ImageId: before });
  const names = Array.from({ length: count }, (_, i) => `web-${i}`);
  const plain = { TargetGroupARNs: [], HealthCheckType: 'EC2' };
  for (const name of names) await l.group(name, { LaunchTemplateId: template, Version: '1' }, plain);
  await l.pointerTo(before);
  const [mark, startedAt] = [l.lab.calls.mark(), l.lab.clock.now()];
  const ran = await l.act('promote', { image: after, groups: names.join(','), bake: '2m', 'min-healthy': '50' });
  if (ran.exitCode !== 0) throw new Error(ran.log);
  return { groups: count, calls: l.lab.calls.count(undefined, mark), seconds: (l.lab.clock.now() - startedAt) / 1000 };
}
