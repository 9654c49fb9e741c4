import { UsageError } from '../kit/errors.ts';
import { list, optional } from '../kit/fields.ts';
import type { Inputs } from '../kit/settings.ts';
import type { architecture, common } from '../model/common-settings.ts';
import { type Image, isOfPullRequest, newestFirst, type TagScheme, tagKey, unavailableReason } from '../model/image.ts';
import { ACCOUNT_ID, AMI_ID, isAmiId, whole } from '../model/patterns.ts';
import { provenBad } from '../model/veto.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';

const ENTRY = whole(
  `(${AMI_ID}|ssm:/[\\w./-]+|name:(self|amazon|aws-marketplace|${ACCOUNT_ID})/[\\w()[\\] ./'@*?-]+|family:[A-Za-z0-9][\\w./-]{0,99})`,
);

/** The image that an image is built on. It is resolved before the build, so that a new base causes a new build. */
export const baseImage = optional(
  list(
    '`build` builds on it (if the template declares `source_ami`), and `resolve` returns it if no image matches: `ami-...`, `ssm:/aws/service/...`, `name:<owner>/<pattern>` (the newest), `family:<name>` (the newest that neither failed nor was rolled back). If you list several, the first one that exists.',
    { pattern: ENTRY, message: 'must be ami-..., ssm:/path/of/a/parameter, name:<owner>/<pattern> or family:<name>' },
  ),
);

/** `reason` names the entry that it comes from, and the entries before it. */
export interface Base {
  readonly id: string;
  readonly reason: string;
}

type BaseInputs = Inputs<Pick<typeof common, 'region'> & { architecture: typeof architecture; baseImage: typeof baseImage }>;
type BaseDeps = Deps<'images' | 'parameters'>;

/** Undefined where the template finds its base itself. Throws `UsageError` where no entry exists. */
export async function resolveBase(inputs: BaseInputs, scheme: TagScheme, { inRegion, report }: BaseDeps): Promise<Base | undefined> {
  if (inputs.baseImage === undefined || inputs.baseImage.length === 0) return undefined;
  const aws = inRegion({ region: inputs.region });
  const missed: string[] = [];
  for (const entry of inputs.baseImage) {
    const found = await lookUp(entry, inputs, scheme, aws);
    if (typeof found === 'string') {
      const reason = missed.length === 0 ? entry : `${entry}; not found: ${missed.join(', ')}`;
      report.info(`Base image: ${found} (${reason})`);
      return { id: found, reason };
    }
    missed.push(entry);
  }
  throw new UsageError([`"base-image": no image in ${inputs.region} for ${missed.join(', ')}`], {
    next: 'End the list with an image that always exists, such as ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64.',
  });
}

async function lookUp(
  entry: string,
  inputs: BaseInputs,
  scheme: TagScheme,
  { images, parameters }: Pick<RegionClients, 'images' | 'parameters'>,
): Promise<string | undefined> {
  const [kind = '', rest = ''] = entry.split(/:(.*)/s);
  if (kind === 'ssm') {
    const parameter = await parameters.read(rest);
    if (parameter === undefined || isAmiId(parameter.value)) return parameter?.value;
    throw new UsageError([`"base-image": parameter ${rest} contains ${JSON.stringify(parameter.value.slice(0, 60))}, not an image ID`]);
  }
  if (kind === 'family') {
    const found = await images.find({ tags: { [tagKey(scheme, 'family')]: rest } });
    return newest(
      found.filter(image => provenBad(image, scheme) === undefined && !isOfPullRequest(image, scheme)),
      inputs,
    );
  }
  if (kind === 'name') {
    const [owner = '', name = ''] = rest.split(/\/(.*)/s);
    return newest(await images.find({ owners: [owner], names: [name] }), inputs);
  }
  const image = await images.get(entry);
  return image === undefined || unavailableReason(image) !== undefined ? undefined : image.id;
}

const newest = (found: readonly Image[], { architecture }: BaseInputs): string | undefined =>
  found
    .filter(image => image.state === 'available' && (architecture === undefined || image.architecture === architecture))
    .sort(newestFirst())[0]?.id;
