import type { Tags } from './image.ts';
import type { TemplateVersion } from './template.ts';

/** A launch configuration. It never changes. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchConfiguration.html */
export interface LaunchConfiguration {
  readonly name: string;
  readonly imageId: string;
  readonly instanceType: string | undefined;
  /** Everything but image and name, as AWS returned it, without empty values. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The same in one canonical text, without snapshots. */
  readonly content: string;
  /** The snapshots of its volumes. */
  readonly snapshotIds: readonly string[];
}

/** A launch template, found by its name. */
export interface NamedTemplate {
  readonly templateId: string;
  readonly tags: Tags;
  /** Undefined: it was deleted. */
  readonly first: TemplateVersion | undefined;
}
