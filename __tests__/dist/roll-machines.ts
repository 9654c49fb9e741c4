import { groups } from '../../lab/autoscaling/group.ts';
import { guestOf, instances } from '../../lab/ec2/state.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { bakeImage } from '../lab/baked-image.ts';
import type { RollLab } from './roll-lab.ts';

/** Real machines in groups: images with a service in them, and a look at what it serves. */

/** One that passed. */
export async function bake(l: RollLab, base: string, version: string, command = ''): Promise<string> {
  const id = await bakeImage({ ec2: l.cloud.ec2, lab: l.lab }, base, version, command);
  const passed = verdictValue(id, { result: 'passed', checks: '0'.repeat(32), at: new Date() });
  l.retag(id, { 'ami-action:family': 'web', 'ami-action:commit': 'c'.repeat(40), 'ami-action:verdict': passed });
  return id;
}

/** What the machines of all groups say that they serve. */
export async function served(l: RollLab): Promise<readonly string[]> {
  const ids = [...groups(l.place).values()].flatMap(({ members }) => [...members.keys()]);
  const said = ids.map(async id => {
    const machine = instances(l.place).get(id);
    const ran = machine === undefined ? undefined : await guestOf(machine)?.exec(['cat', '/opt/app/version']);
    return ran?.stdout.trim() ?? 'nothing';
  });
  return (await Promise.all(said)).sort();
}
