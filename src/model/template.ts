/** A version of a launch template. Versions never change. */
export interface TemplateVersion {
  readonly templateId: string;
  readonly templateName: string;
  readonly number: number;
  /** An ID, or `resolve:ssm:...`; '' where the template has none. */
  readonly imageId: string;
  readonly instanceType: string | undefined;
  /** Everything but the image, in one canonical text. */
  readonly content: string;
  /** The snapshots of its volumes. */
  readonly snapshotIds: readonly string[];
  readonly isDefault: boolean;
  readonly description: string;
}
