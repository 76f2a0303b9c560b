import type { SourceFile } from "./tree.ts";

interface Ban {
  readonly what: string;
  readonly pattern: RegExp;
  /** Where the text is allowed after all: a folder of files that need it. */
  readonly except?: string;
}

/**
 * What no file may hold. The patterns are put together from pieces, so that this file does not hold it either. A path
 * counts where it begins: `src/home/` is no machine's path.
 */
const BANS: readonly Ban[] = [
  {
    what: "a path of somebody's machine",
    pattern: new RegExp(`(?<![\\w.\\-/:*])/(?:${["work", "root", "home", "Users"].join("|")})/`),
  },
  { what: "a path of somebody's machine", pattern: new RegExp(`(?<![\\w.\\-/:*])/${"tmp"}/`), except: "test/" },
  {
    what: "a package registry's host",
    pattern: new RegExp(`\\b(?:${["registry", "npm", "proxy"].join("|")})\\.[a-z0-9-]+\\.[a-z]{2,}\\b`),
  },
  {
    what: "a package registry's host",
    pattern: new RegExp(`\\b(?:${["npmjs", "yarnpkg", "pypi", "ghcr", "docker"].join("|")})\\.(?:org|com|io)\\b`),
  },
  { what: "work that was left for later", pattern: new RegExp(`\\b(?:${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`) },
];

/** Answers `file:line: what it holds` for every finding. */
export function checkStrings(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const bans = BANS.filter((ban) => ban.except === undefined || !file.path.startsWith(ban.except));
    return file.text
      .split("\n")
      .flatMap((line, at) =>
        bans.filter((ban) => ban.pattern.test(line)).map((ban) => `${file.path}:${at + 1}: holds ${ban.what}`),
      );
  });
}
