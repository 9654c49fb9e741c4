import { UsageError } from '../kit/errors.ts';
import { duration, flag, list, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { type Image, isOurs, type TagScheme, tagKey } from '../model/image.ts';
import { AMI_ID, whole } from '../model/patterns.ts';
import { environmentPointer, type PointerOfEnvironment, pointerName } from '../model/pointer.ts';
import { isVetoed, liftedTags, vetoTags } from '../model/veto.ts';
import type { Deps, RegionClients, Reporter } from '../ports/deps.ts';
import { findEquivalentImage } from '../selection/select-image.ts';
import { type Selection, schemeOf } from '../selection/settings.ts';
import type { Guards } from './rules/admission.ts';
import { type Brakes, parseWindow, WINDOW_FORM } from './rules/brakes.ts';

/** What may reach an environment: guards of the workflow, and vetoes on images. */

const withOnly = { withOnly: true } as const;

export const guardSettings = {
  requireChecks: optional(
    text('Hash of the checks that the image must have passed: the output `checks` of validate.', {
      ...withOnly,
      pattern: /^[0-9a-f]{32}$/,
      message: 'must be the output "checks" of validate',
      neededBy: 'teams whose checks get stricter',
    }),
  ),
  allowedRefs: optional(
    list('Refs that an image must be built from: `main` or `release/*` are branches; write tags as whole refs, such as `refs/tags/v*`.', {
      ...withOnly,
      neededBy: 'environments that accept no feature branches',
    }),
  ),
  soakEnvironment: optional(
    text(
      'The environment that must have run the image before. In another account or region it is read with `from-role` and `from-region`.',
      {
        ...withOnly,
        pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
        message: 'must be the name of an environment',
        neededBy: 'environments that accept only what ran elsewhere before',
      },
    ),
  ),
  soakTime: optional(
    duration('How long `soak-environment` must have run it without a break.', { ...withOnly, neededBy: 'users of `soak-environment`' }),
  ),
  freeze: optional(
    text('Name of an SSM parameter that stops promotions while it exists: a text with the reason, or YAML with `reason` and `until`.', {
      ...withOnly,
      pattern: /^\/([\w./-]|\{(family|environment|architecture)\})+$/,
      message: 'must be a parameter name that starts with "/"',
      neededBy: 'teams that stop all deliveries for a while',
    }),
  ),
  windows: optional(
    list('When promotions may start, such as `Mon-Fri 09:00-16:00 Europe/Berlin`. A rollback may start at any time.', {
      ...withOnly,
      neededBy: 'environments that change in working hours only',
    }),
  ),
  release: flag('Promote although a person holds the environment on an older image.', false, {
    ...withOnly,
    neededBy: 'teams that went back to an older image by hand',
  }),
  adoptGroups: flag('Take over groups that launch images of another family, or that another environment of the file names too.', false, {
    ...withOnly,
    neededBy: 'teams that move a group to another family',
  }),
  pin: optional(
    text('The only image that may be promoted: holds the environment on it.', {
      ...withOnly,
      pattern: whole(AMI_ID),
      message: 'must be an image ID',
      neededBy: 'environments that must not change for a while',
    }),
  ),
};

type GuardInputs = Values<typeof guardSettings> &
  PointerOfEnvironment &
  Pick<Selection, 'region' | 'fromRegion' | 'fromRole' | 'tagPrefix' | 'commitTag'>;

export async function readGuards(
  inputs: GuardInputs,
  image: Image,
  deps: Pick<Deps<'images' | 'parameters'>, 'inRegion'>,
): Promise<Guards> {
  const { soakEnvironment, soakTime, allowedRefs, pin } = inputs;
  const brakes = await readBrakes(inputs, deps.inRegion({ region: inputs.region }));
  if ((soakEnvironment === undefined) !== (soakTime === undefined)) {
    const [missing, other] = soakTime === undefined ? ['soak-time', 'soak-environment'] : ['soak-environment', 'soak-time'];
    throw new UsageError([`"${missing}" is required with "${other}"`]);
  }
  if (soakEnvironment === undefined || soakTime === undefined) return { allowedRefs, pin, brakes };
  const there = deps.inRegion({ region: inputs.fromRegion ?? inputs.region, role: inputs.fromRole });
  const [history, equivalent] = await Promise.all([
    there.parameters.history(environmentPointer({ ...inputs, environment: soakEnvironment })),
    there === deps.inRegion({ region: inputs.region }) ? image : findEquivalentImage(image, inputs, there).then(found => found.image),
  ]);
  const vetoed = [image, equivalent].some(each => each !== undefined && isVetoed(each, schemeOf(inputs), soakEnvironment));
  const known = equivalent && { id: equivalent.id, vetoed };
  return { allowedRefs, pin, brakes, soak: { environment: soakEnvironment, seconds: soakTime, image: known, history } };
}

/** A parameter that cannot be decrypted freezes too: its text is then the reason. */
async function readBrakes(inputs: GuardInputs, { parameters }: Pick<RegionClients, 'parameters'>): Promise<Brakes> {
  const windows = (inputs.windows ?? []).map(text => ({ text, window: parseWindow(text) }));
  const unknown = windows.filter(({ window }) => window === undefined);
  if (unknown.length > 0) throw new UsageError(unknown.map(({ text }) => `"windows" ${WINDOW_FORM}, got "${text}"`));
  const name = inputs.freeze === undefined ? undefined : pointerName(inputs.freeze, inputs);
  const freeze = name === undefined ? undefined : await parameters.read(name);
  return { freeze, windows: windows.flatMap(({ window }) => window ?? []) };
}

export interface VetoOf {
  readonly imageId: string | undefined;
  readonly scheme: TagScheme;
  readonly family: string;
  readonly environment: string;
}

type Images = Pick<RegionClients, 'images'>;

const findImage = async ({ imageId }: VetoOf, { images }: Images) => (imageId === undefined ? undefined : images.get(imageId));

/** The next promotion of this image to this environment is refused. A deleted image needs no veto. */
export async function veto(of: VetoOf, { warn }: Pick<Reporter, 'warn'>, aws: Images): Promise<void> {
  const image = await findImage(of, aws);
  if (image === undefined) return;
  if (isOurs(image, of.scheme, of.family)) await aws.images.tag([image.id], vetoTags(image, of.scheme, of.environment));
  else warn(`${image.id} has no family tag, so it cannot be vetoed: a later promotion could bring it back.`);
}

export async function liftVeto(of: VetoOf, aws: Images): Promise<void> {
  const image = await findImage(of, aws);
  if (image === undefined || !isVetoed(image, of.scheme, of.environment)) return;
  const remaining = liftedTags(image, of.scheme, of.environment);
  if (remaining === undefined) await aws.images.untag([image.id], [tagKey(of.scheme, 'vetoed-in')]);
  else await aws.images.tag([image.id], remaining);
}
