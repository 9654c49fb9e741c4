import { formatDuration } from '../../kit/format.ts';
import type { Image } from '../../model/image.ts';

/** What can be said about an image without a machine. */

export const GATES = ['private', 'encrypted', 'imds-v2', 'ena'] as const;
export type Gate = (typeof GATES)[number];

const BROKEN: Readonly<Record<Gate, (image: Image) => string | undefined>> = {
  private: image => (image.public ? 'it is public: everybody can launch it and read its disk' : undefined),
  encrypted: image => (image.encrypted ? undefined : 'not all of its volumes are encrypted'),
  'imds-v2': image => (image.imdsV2 ? undefined : 'it does not ask for IMDSv2 (ImdsSupport v2.0): a launch that says nothing gets IMDSv1'),
  ena: image => (image.ena ? undefined : 'it has no ENA support: current instance types refuse it'),
};

export interface Gates {
  readonly require: readonly Gate[];
  readonly baseMaxAgeSeconds: number | undefined;
}

/** Why it is refused; empty when it is not. What cannot be read counts against it. */
export function brokenGates(image: Image, { require, baseMaxAgeSeconds }: Gates, base: Image | undefined, now: number): readonly string[] {
  const broken = require.flatMap(gate => BROKEN[gate](image) ?? []);
  if (baseMaxAgeSeconds === undefined) return broken;
  if (base === undefined) return [...broken, 'the age of its base image cannot be told: the image does not name it, or it is gone'];
  const seconds = (now - base.createdAt.getTime()) / 1000;
  if (seconds <= baseMaxAgeSeconds) return broken;
  return [...broken, `its base image ${base.id} is ${formatDuration(seconds)} old, "base-max-age" is ${formatDuration(baseMaxAgeSeconds)}`];
}
