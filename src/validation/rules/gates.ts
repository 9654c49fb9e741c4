import { formatDuration } from '../../kit/format.ts';
import type { Image } from '../../model/image.ts';

export const GATES = ['private', 'encrypted', 'imds-v2', 'ena'] as const;
type Gate = (typeof GATES)[number];

export interface Gates {
  readonly require: readonly string[];
  readonly baseMaxAge?: number | undefined;
}

const BROKEN: Readonly<Record<Gate, (image: Image) => string | undefined>> = {
  private: image => (image.public ? 'it is public: any account can launch it and read its disk' : undefined),
  encrypted: image => (image.encrypted ? undefined : 'not all of its volumes are encrypted'),
  'imds-v2': image => (image.imdsV2 ? undefined : 'it does not require IMDSv2 (ImdsSupport v2.0)'),
  ena: image => (image.ena ? undefined : 'it has no ENA support, which current instance types require'),
};

/** Reasons why "require" and "base-max-age" refuse an image; empty where they do not. What cannot be read counts as refused. */
export function brokenGates(image: Image, { require, baseMaxAge }: Gates, base: Image | undefined, now: number): readonly string[] {
  const broken = require.flatMap(gate => BROKEN[gate as Gate](image) ?? []);
  if (baseMaxAge === undefined) return broken;
  if (base?.createdAt === undefined)
    return [...broken, 'the age of its base image is unknown: the image does not name it, or it does not exist'];
  const seconds = (now - base.createdAt.getTime()) / 1000;
  if (seconds <= baseMaxAge) return broken;
  return [...broken, `its base image ${base.id} is ${formatDuration(seconds)} old, "base-max-age" is ${formatDuration(baseMaxAge)}`];
}
