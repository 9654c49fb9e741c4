/** A version of a launch template, as far as changing its image is concerned. Versions never change. */
export interface TemplateVersion {
  readonly templateId: string;
  readonly templateName: string;
  readonly number: number;
  /** An ID, or `resolve:ssm:...`; '' where the template leaves it to others. */
  readonly imageId: string;
  readonly instanceType: string | undefined;
  /** Everything but the image, in one canonical text: two versions with the same content differ in nothing else. */
  readonly content: string;
  /** Snapshots that its volumes are made from. */
  readonly snapshotIds: readonly string[];
  readonly isDefault: boolean;
  readonly description: string;
}
