import type {
  DescribeImageReferencesCommandInput,
  DescribeImageReferencesCommandOutput,
  ImageReference,
  ImageReferenceResourceType,
  ResourceTypeRequest,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { latest, parameters } from '../ssm/parameter-state.ts';
import { templates } from './launch-template-state.ts';
import { checkPageSize, pageOf } from './paging.ts';
import { checkId } from './resource-ids.ts';
import { instances } from './state.ts';

/** Image Builder recipes that tests add: ARN -> base image. */
export const recipes = slice((): Map<string, string> => new Map());

type Finder = (place: Place, imageId: string, options: ReadonlyMap<string, readonly string[]>) => readonly string[];

/**
 * Does not report: resources of other accounts, template versions beyond the depth, templates with `resolve:ssm` (the parameter is reported), launch
 * configurations. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-references.html
 */
const FINDERS: Readonly<Partial<Record<ImageReferenceResourceType, Finder>>> = {
  'ec2:Instance': (place, imageId, options) =>
    [...instances(place).values()]
      .filter(instance => instance.imageId === imageId && (options.get('state-name')?.includes(instance.state) ?? true))
      .map(({ id }) => `arn:aws:ec2:${place.region}:${place.account}:instance/${id}`),
  'ec2:LaunchTemplate': (place, imageId, options) => {
    const depth = Number(options.get('version-depth')?.[0] ?? 10);
    const names = (versions: readonly { data: { ImageId?: string | undefined } }[]) =>
      versions.some(({ data }) => data.ImageId === imageId);
    return [...templates(place).values()]
      .filter(({ versions }) => names([...versions.values()].sort((a, b) => b.number - a.number).slice(0, depth)))
      .map(({ id }) => `arn:aws:ec2:${place.region}:${place.account}:launch-template/${id}`);
  },
  'ssm:Parameter': (place, imageId) =>
    [...parameters(place).values()]
      .filter(parameter => latest(parameter).dataType === 'aws:ec2:image' && latest(parameter).value === imageId)
      .map(({ arn }) => arn),
  'imagebuilder:ImageRecipe': (place, imageId) => [...recipes(place)].filter(([, parent]) => parent === imageId).map(([arn]) => arn),
};

const EVERYTHING: readonly ResourceTypeRequest[] = (Object.keys(FINDERS) as ImageReferenceResourceType[]).map(ResourceType => ({
  ResourceType,
}));

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageReferences.html */
export const describeImageReferences: Operation<DescribeImageReferencesCommandInput, DescribeImageReferencesCommandOutput> = (
  input,
  { place },
) => {
  checkPageSize(input, 5, 1000);
  const { ImageIds = [], IncludeAllResourceTypes = false, ResourceTypes = [] } = input;
  if (ImageIds.length < 1 || ImageIds.length > 10)
    throw new AwsError('InvalidParameterValue', 'The number of image IDs must be between 1 and 10.');
  if (!IncludeAllResourceTypes && ResourceTypes.length === 0) {
    throw new AwsError('MissingParameter', 'Either IncludeAllResourceTypes or ResourceTypes must be specified.');
  }
  for (const id of ImageIds) checkId('image', id);
  // Options of a type override its defaults.
  const requested = ResourceTypes.map(({ ResourceType }) => ResourceType);
  const wanted = [
    ...ResourceTypes,
    ...(IncludeAllResourceTypes ? EVERYTHING.filter(({ ResourceType }) => !requested.includes(ResourceType)) : []),
  ];
  const found = ImageIds.flatMap(id => wanted.flatMap(request => references(place, id, request)));
  const { page, NextToken } = pageOf(place, found, ({ ImageId, Arn }) => `${ImageId} ${Arn}`, input);
  return { ImageReferences: [...page], NextToken };
};

export function references(
  place: Place,
  ImageId: string,
  { ResourceType, ResourceTypeOptions = [] }: ResourceTypeRequest,
): readonly ImageReference[] {
  if (ResourceType === undefined) return [];
  const options = new Map(ResourceTypeOptions.map(({ OptionName = '', OptionValues = [] }) => [OptionName as string, OptionValues]));
  return (FINDERS[ResourceType]?.(place, ImageId, options) ?? []).map(Arn => ({ ImageId, ResourceType, Arn }));
}
