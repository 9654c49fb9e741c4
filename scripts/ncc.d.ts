declare module '@vercel/ncc' {
  interface Options {
    cache?: boolean;
    quiet?: boolean;
    esm?: boolean;
    target?: string;
    mainFields?: string[];
    license?: string;
  }
  interface Bundle {
    code: string;
    assets: Record<string, { source: string | Buffer; permissions: number }>;
  }
  export default function ncc(entry: string, options: Options): Promise<Bundle>;
}
