import { UsageError } from '../kit/errors.ts';
import { duration, list, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import type { Image } from '../model/image.ts';
import { AMI_ID, whole } from '../model/patterns.ts';
import type { PointerOfEnvironment } from '../model/pointer.ts';
import { environmentPointer } from '../model/pointer.ts';
import { isVetoed } from '../model/veto.ts';
import type { Deps } from '../ports/deps.ts';
import { findEquivalentImage, type Selection, schemeOf } from '../selection/select-image.ts';
import type { Guards } from './rules/guards.ts';

/** What may reach an environment. */

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
    list('Refs that an image must be built from: `main` or `release/*` are branches, tags are written whole, such as `refs/tags/v*`.', {
      ...withOnly,
      neededBy: 'environments that take no feature branches',
    }),
  ),
  soakEnvironment: optional(
    text(
      'The environment that must have run the image before this one; read with `from-role` and `from-region` where it lives elsewhere.',
      {
        ...withOnly,
        pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
        message: 'must be the name of an environment',
        neededBy: 'environments that take only what has proven itself elsewhere',
      },
    ),
  ),
  soakTime: optional(
    duration('How long `soak-environment` must have run it without a break.', { ...withOnly, neededBy: 'users of `soak-environment`' }),
  ),
  pin: optional(
    text('The only image that may be promoted: holds an environment where it is.', {
      ...withOnly,
      pattern: whole(AMI_ID),
      message: 'must be an image ID',
      neededBy: 'environments that must not change for a while',
    }),
  ),
};

type Wanted = Values<typeof guardSettings> &
  PointerOfEnvironment &
  Pick<Selection, 'region' | 'fromRegion' | 'fromRole' | 'tagPrefix' | 'commitTag'>;
type NeededDeps = Pick<Deps<'images' | 'parameters'>, 'inRegion'>;

export async function readGuards(wanted: Wanted, image: Image, deps: NeededDeps): Promise<Guards> {
  const { soakEnvironment, soakTime, allowedRefs, pin } = wanted;
  if ((soakEnvironment === undefined) !== (soakTime === undefined)) {
    throw new UsageError([
      `"${soakTime === undefined ? 'soak-time' : 'soak-environment'}" is missing: the other one does nothing without it`,
    ]);
  }
  if (soakEnvironment === undefined || soakTime === undefined) return { allowedRefs, pin };
  const there = deps.inRegion({ region: wanted.fromRegion ?? wanted.region, role: wanted.fromRole });
  const [history, twin] = await Promise.all([
    there.parameters.history(environmentPointer({ ...wanted, environment: soakEnvironment })),
    there === deps.inRegion({ region: wanted.region }) ? image : findEquivalentImage(image, wanted, there).then(twin => twin.image),
  ]);
  const known = twin && { id: twin.id, vetoed: [image, twin].some(each => isVetoed(each, schemeOf(wanted), soakEnvironment)) };
  return { allowedRefs, pin, soak: { environment: soakEnvironment, seconds: soakTime, image: known, history } };
}
