/** The port to Packer. */

export interface PackerRequirement {
  /** A version or a range in npm syntax: 1.16.0, 1.15.x, >=1.14.0. */
  readonly version: string;
  /** Of the archive, for a version that the action does not know. */
  readonly sha256: string | undefined;
  /** Address that serves the archives. */
  readonly mirror: string;
}

export interface PackerTool {
  /** Absolute path of a verified Packer. */
  readonly binary: string;
  readonly version: string;
  readonly from: 'path' | 'archive';
}

/** What `packer inspect` reports of a template. */
export interface PackerTemplate {
  readonly variables: ReadonlyMap<string, 'plain' | 'sensitive'>;
  /** Legacy JSON, whose variables are strings. */
  readonly isJson: boolean;
  /** Its source, if it has one only and no post-processor: then an image with our tags is the complete result. */
  readonly soleSource: string | undefined;
}

export interface PackerBuild {
  readonly binary: string;
  /** Absolute path of a directory or file. */
  readonly template: string;
  /** Variables of the action, of any type, passed in a file that only this user can read. */
  readonly given: Readonly<Record<string, unknown>>;
  /** The user's, passed unchanged as arguments. */
  readonly variables: Readonly<Record<string, string>>;
  readonly varFiles: readonly string[];
  /** The user's secrets, passed in a file that only this user can read. It overrides `varFiles`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Values that are masked in Packer's output. */
  readonly hidden: readonly string[];
  readonly only: readonly string[];
  readonly except: readonly string[];
  /** Absolute path of the directory in which Packer runs. */
  readonly workingDirectory: string;
  /** Added to the environment of the action. */
  readonly environment: Readonly<Record<string, string>>;
  /** After this Packer is stopped as by a cancel. */
  readonly atMostSeconds: number;
  /** Files of the template that differ from the repository: Packer then gets a copy of the template. */
  readonly edits: readonly TemplateEdit[];
}

export interface TemplateEdit {
  /** Absolute, in the repository. */
  readonly path: string;
  readonly text: string;
  /** How many lines were inserted behind which line. */
  readonly inserted: readonly { readonly line: number; readonly count: number }[];
}

export interface PackerEnded {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Why the action stopped it. */
  readonly stopped?: 'cancelled' | 'timeout' | undefined;
}

export interface Packer {
  /** Absolute path of a template or var file; undefined where none exists. */
  locate(path: string): string | undefined;
  /** Directories of the workspace that contain a template, relative to it: some, for a message. */
  templates(): readonly string[];
  /** The directory itself, or the one of a file. */
  folderOf(path: string): string;
  /** The files that Packer loads for a template, or one file with variables. An unreadable one is empty. */
  read(template: string): Promise<readonly { readonly path: string; readonly text: string }[]>;
  /** Environment variables that Packer gets: PKR_VAR_... and those with these names. */
  ambient(names: readonly string[]): Readonly<Record<string, string>>;
  /** From PATH if the version fits, otherwise the vendor's archive. */
  ensure(required: PackerRequirement): Promise<PackerTool>;
  inspect(binary: string, template: string): Promise<PackerTemplate>;
  init(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
  validate(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
  /** Reports lines of `-machine-readable`. Survives the death of the action; gets SIGTERM on cancel, and where the caller stops it. */
  build(build: PackerBuild, onLine: (line: string) => void, stop: AbortSignal): Promise<PackerEnded>;
}
