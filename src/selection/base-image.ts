import { UsageError } from '../kit/errors.ts';
import { list, optional } from '../kit/fields.ts';
import { type Architecture, type Image, newestFirst, type TagScheme, tagKey, unavailableReason } from '../model/image.ts';
import { ACCOUNT_ID, AMI_ID, isAmiId, whole } from '../model/patterns.ts';
import { provenBad } from '../model/veto.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';

/** The image that an image is built on: resolved here, so that it is known before the build, and known to be another one the next time. */

const ENTRY = whole(
  `(${AMI_ID}|ssm:/[\\w./-]+|name:(self|amazon|aws-marketplace|${ACCOUNT_ID})/[\\w()[\\] ./'@*?-]+|family:[A-Za-z0-9][\\w./-]{0,99})`,
);

export const baseImage = optional(
  list(
    'What `build` builds on (for a template that declares `source_ami`), and what `resolve` answers when nothing fits: `ami-...`, `ssm:/aws/service/...`, `name:<owner>/<pattern>` (the newest), `family:<name>` (our newest that neither failed nor was rolled back). Of several, the first that there is.',
    { pattern: ENTRY, message: 'must be ami-..., ssm:/path/of/a/parameter, name:<owner>/<pattern> or family:<name>' },
  ),
);

export interface Base {
  readonly id: string;
  /** The entry that it comes from, and why. */
  readonly reason: string;
}

interface Wanted {
  readonly baseImage?: readonly string[] | undefined;
  readonly architecture?: Architecture | undefined;
  readonly region: string;
}

type NeededDeps = Deps<'images' | 'parameters'>;

/** Undefined where the template finds its base itself. */
export async function resolveBase(wanted: Wanted, scheme: TagScheme, { inRegion, report }: NeededDeps): Promise<Base | undefined> {
  if (wanted.baseImage === undefined || wanted.baseImage.length === 0) return undefined;
  const aws = inRegion({ region: wanted.region });
  const missed: string[] = [];
  for (const entry of wanted.baseImage) {
    const found = await lookUp(entry, wanted, scheme, aws);
    if (typeof found === 'string') {
      const reason = missed.length === 0 ? entry : `${entry}, as ${missed.join(' and ')} gave none`;
      report.info(`Base image: ${found} (${reason})`);
      return { id: found, reason };
    }
    missed.push(entry);
  }
  throw new UsageError([`"base-image": there is none in ${wanted.region} for ${missed.join(', ')}`], {
    next: 'Put one that always exists at the end of the list, such as ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64.',
  });
}

async function lookUp(
  entry: string,
  wanted: Wanted,
  scheme: TagScheme,
  { images, parameters }: Pick<RegionClients, 'images' | 'parameters'>,
): Promise<string | undefined> {
  const [kind = '', rest = ''] = entry.split(/:(.*)/s);
  if (kind === 'ssm') {
    const parameter = await parameters.read(rest);
    if (parameter === undefined || isAmiId(parameter.value)) return parameter?.value;
    throw new UsageError([`"base-image": ${rest} holds ${JSON.stringify(parameter.value.slice(0, 60))}, which is no image ID`]);
  }
  if (kind === 'family') {
    const found = await images.find({ tags: { [tagKey(scheme, 'family')]: rest } });
    return newest(
      found.filter(image => provenBad(image, scheme) === undefined),
      wanted,
    );
  }
  if (kind === 'name') {
    const [owner = '', name = ''] = rest.split(/\/(.*)/s);
    return newest(await images.find({ owners: [owner], names: [name] }), wanted);
  }
  const image = await images.get(entry);
  return image === undefined || unavailableReason(image) !== undefined ? undefined : image.id;
}

const newest = (found: readonly Image[], { architecture }: Wanted): string | undefined =>
  found
    .filter(image => image.state === 'available' && (architecture === undefined || image.architecture === architecture))
    .sort(newestFirst)[0]?.id;
