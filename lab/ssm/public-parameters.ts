import { AMAZON, DEBIAN } from '../ec2/base-images.ts';
import { images } from '../ec2/images.ts';
import type { LabImage } from '../ec2/state.ts';
import type { Place } from '../place.ts';
import { type LabParameter, parameterArn } from './parameter-state.ts';

interface Published {
  readonly name: string;
  readonly owner: string;
  readonly imageName: RegExp;
  readonly architecture: 'x86_64' | 'arm64';
}

const AL2023 = '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel';
const DEBIAN_12 = '/aws/service/debian/release';

// https://docs.aws.amazon.com/linux/al2023/ug/ec2.html#launch-via-aws-cli and https://wiki.debian.org/Cloud/AmazonEC2Image/Bookworm
const PUBLISHED: readonly Published[] = (['x86_64', 'arm64'] as const).flatMap(architecture => [
  ...['default', '6.1'].map(kernel => ({
    name: `${AL2023}-${kernel}-${architecture}`,
    owner: AMAZON,
    imageName: /^al2023-ami-2023/,
    architecture,
  })),
  ...['12', 'bookworm'].map(release => ({
    name: `${DEBIAN_12}/${release}/latest/${architecture === 'arm64' ? 'arm64' : 'amd64'}`,
    owner: DEBIAN,
    imageName: /^debian-12-/,
    architecture,
  })),
]);

/** Public parameters of AWS and others: the newest base images of the lab. Their ARN has no account. */
export const publicParameters = (place: Place): readonly LabParameter[] => PUBLISHED.flatMap(one => published(place, one));

export const publicParameter = (place: Place, name: string): LabParameter | undefined =>
  PUBLISHED.filter(one => one.name === name).flatMap(one => published(place, one))[0];

function published(place: Place, { name, owner, imageName, architecture }: Published): readonly LabParameter[] {
  const fitting = [...images(place.core.place(owner, place.region)).values()]
    .filter(image => image.state === 'available' && image.architecture === architecture && imageName.test(image.name))
    .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  const [newest] = fitting;
  return newest === undefined ? [] : [parameterFor(place, name, newest, fitting.length)];
}

const parameterFor = (place: Place, name: string, image: LabImage, version: number): LabParameter => ({
  name,
  arn: parameterArn(place, '', name),
  versions: [
    {
      version,
      value: image.id,
      type: 'String',
      // Their data type is `text`: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters-ami.html
      dataType: 'text',
      description: undefined,
      tier: 'Standard',
      keyId: undefined,
      allowedPattern: undefined,
      writtenAt: image.createdAt,
      writtenBy: '',
      labels: new Set(),
    },
  ],
  tags: new Map(),
});
