import { giveAddress } from '../addresses.ts';
import { mayDecrypt, type Principal } from '../kms/use.ts';
import type { Disk, Guest } from '../machines/hypervisor.ts';
import type { Place } from '../place.ts';
import { rootSnapshot, snapshotEver } from './images.ts';
import { mishaps } from './mishaps.ts';
import { dropTags, instances, keyPairs, type LabImage, type LabInstance, tagsOf, volumes } from './state.ts';

/** Boot, stop, reboot and termination of an instance, after the call has returned. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html */

/** One transition at a time per instance: a termination waits for the boot that it interrupts. */
const lines = new WeakMap<LabInstance, Promise<void>>();

function inLine(instance: LabInstance, task: () => Promise<void>): Promise<void> {
  const next = (lines.get(instance) ?? Promise.resolve()).then(task).catch((cause: unknown) => collapse(instance, cause));
  lines.set(instance, next);
  return next;
}

export function bootFirst(instance: LabInstance, image: LabImage, by: Principal): void {
  const { core } = instance.place;
  void inLine(instance, async () => {
    const { launchFails } = mishaps(instance.place);
    const failure = launchFails.get(image.id) ?? launchFails.get('*') ?? lockedOut(instance.place, image, by);
    if (failure !== undefined) {
      await core.clock.sleep(core.timings.boot);
      return gone(instance, failure);
    }
    instance.disk = await cloneOf(instance, image);
    await boot(instance, true);
  });
}

/** RunInstances succeeds; the instance terminates before it runs. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html */
function lockedOut(place: Place, image: LabImage, by: Principal): { code: string; message: string } | undefined {
  const keys = image.devices.map(({ snapshotId }) =>
    snapshotId === undefined ? undefined : snapshotEver(image.place, snapshotId)?.kmsKeyId,
  );
  if (keys.every(key => mayDecrypt(place, key, by))) return undefined;
  return { code: 'Client.InternalError', message: 'Client.InternalError: Client error on launch' };
}

async function cloneOf({ place }: LabInstance, image: LabImage): Promise<Disk> {
  const content = rootSnapshot(image)?.disk;
  if (content === undefined) throw new Error(`${image.id} has no content`);
  return place.core.hypervisor.clone(await content());
}

async function boot(instance: LabInstance, firstBoot: boolean): Promise<void> {
  const { core } = instance.place;
  // Terminated before the boot began. During the boot, the termination is queued.
  if (instance.state !== 'pending') return;
  const [guest] = await Promise.all([machine(instance, firstBoot), core.clock.sleep(core.timings.boot)]);
  instance.guest = guest;
  const { impaired } = mishaps(instance.place);
  instance.impaired = impaired.has(instance.imageId) || impaired.has('*');
  if (instance.state === 'pending') enter(instance, 'running');
}

function machine(instance: LabInstance, firstBoot: boolean): Promise<Guest> {
  const { place, disk, address, userData } = instance;
  if (disk === undefined) throw new Error(`${instance.id} has no disk`);
  const key = instance.keyName === undefined ? undefined : keyPairs(place).get(instance.keyName);
  return place.core.hypervisor.boot({
    ...{ instanceId: instance.id, disk, address, firstBoot, tags: tagsOf(place, instance.id) },
    authorizedKeys: key === undefined ? [] : [key.publicKey],
    userData: userData === undefined ? undefined : Buffer.from(userData, 'base64').toString(),
    about: {
      ...{ account: place.account, zone: instance.zone, imageId: instance.imageId, instanceType: instance.type },
      tokens: instance.metadata.HttpTokens === 'optional' ? 'optional' : 'required',
    },
    onEnd: () => endedItself(instance),
  });
}

export function start(instance: LabInstance): void {
  enter(instance, 'pending');
  instance.stateReason = undefined;
  instance.transition = '';
  void inLine(instance, () => boot(instance, false));
}

export function stop(instance: LabInstance, reason = userInitiated): void {
  begin(instance, 'stopping', reason);
  void inLine(instance, async () => {
    await powerOff(instance);
    enter(instance, 'stopped');
  });
}

export function terminate(instance: LabInstance, reason = userInitiated): void {
  begin(instance, 'shutting-down', reason);
  void inLine(instance, async () => {
    await powerOff(instance);
    await gone(instance);
  });
}

/** Runs `work` on the disk while the instance is down. The state does not change, as with CreateImage and RebootInstances. */
export function whileOff(instance: LabInstance, work: () => Promise<void>): Promise<void> {
  return inLine(instance, async () => {
    const { guest } = instance;
    instance.oldConsole = consoleOf(instance);
    instance.guest = undefined;
    await guest?.stop();
    await work();
    if (guest !== undefined && instance.state === 'running') instance.guest = await machine(instance, false);
  });
}

/** Runs `work` on the disk of the running instance, between two transitions. */
export const whileStill = (instance: LabInstance, work: () => Promise<void>): Promise<void> => inLine(instance, work);

export const consoleOf = ({ oldConsole, guest }: LabInstance): string => oldConsole + (guest?.console() ?? '');

async function powerOff(instance: LabInstance): Promise<void> {
  const { core } = instance.place;
  await Promise.all([instance.guest?.stop(), core.clock.sleep(core.timings.shutdown)]);
  instance.oldConsole = consoleOf(instance);
  instance.guest = undefined;
}

interface Reason {
  readonly code: string;
  readonly message: string;
  readonly short: string;
}

const userInitiated: Reason = {
  code: 'Client.UserInitiatedShutdown',
  message: 'Client.UserInitiatedShutdown: User initiated shutdown',
  short: 'User initiated',
};

const ownShutdown: Reason = {
  code: 'Client.InstanceInitiatedShutdown',
  message: 'Client.InstanceInitiatedShutdown: Instance initiated shutdown',
  short: 'Instance initiated',
};

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html#Using_ChangingInstanceInitiatedShutdownBehavior */
function endedItself(instance: LabInstance): void {
  if (instance.state !== 'running' && instance.state !== 'pending') return;
  if (instance.shutdownBehavior === 'terminate') terminate(instance, ownShutdown);
  else stop(instance, ownShutdown);
}

function begin(instance: LabInstance, state: 'stopping' | 'shutting-down', { code, message, short }: Reason): void {
  enter(instance, state);
  instance.stateReason = { code, message };
  instance.transition = `${short} (${instance.changedAt.toISOString().replace('T', ' ').slice(0, 19)} GMT)`;
}

function enter(instance: LabInstance, state: LabInstance['state']): void {
  instance.state = state;
  instance.changedAt = instance.place.core.clock.date();
}

/** A failure of the machine terminates the instance, not the lab. */
async function collapse(instance: LabInstance, cause: unknown): Promise<void> {
  const message = cause instanceof Error ? cause.message : String(cause);
  await gone(instance, { code: 'Server.InternalError', message: `Server.InternalError: ${message}` });
}

async function gone(instance: LabInstance, reason?: { code: string; message: string }): Promise<void> {
  const { place, disk } = instance;
  const { core } = place;
  if (reason !== undefined) instance.stateReason = reason;
  enter(instance, 'terminated');
  instance.disk = undefined;
  if (disk !== undefined) await core.hypervisor.discard(disk).catch((cause: unknown) => console.error('lab:', cause));
  giveAddress(core, instance.address);
  leaveVolumes(instance);
  core.clock.after(core.timings.forget, () => {
    instances(place).delete(instance.id);
    dropTags(place, instance.id, 'all');
  });
}

function leaveVolumes({ id, place }: LabInstance): void {
  for (const volume of [...volumes(place).values()].filter(({ attached }) => attached?.instanceId === id)) {
    if (volume.attached?.deleteOnTermination === true) {
      volumes(place).delete(volume.id);
      dropTags(place, volume.id, 'all');
    }
    volume.attached = undefined;
  }
}
