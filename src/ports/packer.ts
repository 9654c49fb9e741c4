/** The port to Packer. */

export interface PackerRequirement {
  /** A range as npm writes them: 1.16.0, 1.15.x, >=1.14.0. */
  readonly version: string;
  /** Of the archive; for a version that is not pinned here. */
  readonly sha256: string | undefined;
  /** Where archives come from. */
  readonly mirror: string;
}

export interface PackerTool {
  /** Absolute path of a Packer that was verified. */
  readonly binary: string;
  readonly version: string;
  readonly from: 'path' | 'archive' | 'source';
}

/** What a template says of itself. */
export interface PackerTemplate {
  readonly variables: ReadonlyMap<string, 'plain' | 'sensitive'>;
  /** The JSON of old, whose variables are texts and nothing else. */
  readonly isJson: boolean;
  /** Its source, if it has one only, and makes nothing of the image after that: then an image that bears our tags is the whole result. */
  readonly soleSource: string | undefined;
  /** One build of one source. `packer build` makes what it can of several, and of one it finds everything that is wrong before it begins. */
  readonly isSingle: boolean;
}

export interface PackerBuild {
  readonly binary: string;
  /** Directory or file, absolute. */
  readonly template: string;
  /** Variables of the action itself, of any type; through a file that only we can read. */
  readonly given: Readonly<Record<string, unknown>>;
  /** The user's, passed on as they are. */
  readonly variables: Readonly<Record<string, string>>;
  readonly varFiles: readonly string[];
  /** The user's too; through a file that only we can read, and that wins over theirs. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Values that nobody may see, wherever Packer says them. */
  readonly hidden: readonly string[];
  readonly only: readonly string[];
  readonly except: readonly string[];
  /** On top of our own, without what is meant for us alone. */
  readonly environment: Readonly<Record<string, string>>;
  /** After this it is stopped as by a cancel. */
  readonly atMostSeconds: number;
  /** There is one source alone, so `build` finds everything that is wrong before it begins. */
  readonly isSingle: boolean;
}

export interface PackerEnded {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Why we stopped it, if we did. */
  readonly stopped?: 'cancelled' | 'timeout' | undefined;
}

export interface Packer {
  /** Absolute path of a template or var file in the workspace; undefined where there is nothing. */
  locate(path: string): string | undefined;
  /** What stands in the files that Packer takes for the template, wherever they lie. */
  texts(template: string): Promise<readonly string[]>;
  /** Variables that the environment gives to every template, PKR_VAR_..., and those of these names. */
  ambient(names: readonly string[]): Readonly<Record<string, string>>;
  /** From PATH if the version fits, else the vendor's archive, else built from source. */
  ensure(wish: PackerRequirement): Promise<PackerTool>;
  inspect(binary: string, template: string): Promise<PackerTemplate>;
  init(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
  validate(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
  /** Lines of `-machine-readable`. Survives our death; SIGTERM on cancel. */
  build(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
}
