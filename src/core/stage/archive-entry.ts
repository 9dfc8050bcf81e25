// What to do with one entry of an untrusted archive: write it below the root, skip it, or refuse the whole archive.
// Invariant: only directories, regular files and links are written, with plain permissions; links of a user's archive stay below the root.
// Used by cli/run/archive.ts, worker/volume/pack-tree.ts and worker/volume/archive.ts, which also makes sure that no parent is a link when it enters a directory.
import { Data, Option } from "effect"

/** The part of a tar header that matters; `type` as effect/encoding has it. */
export interface EntryHeader {
  readonly path: string
  readonly type: string
  readonly mode: number
  readonly linkTarget?: string | undefined
}

export type EntryAction = Data.TaggedEnum<{
  WriteFile: { readonly segments: ReadonlyArray<string>; readonly executable: boolean }
  MakeFolder: { readonly segments: ReadonlyArray<string> }
  MakeLink: { readonly segments: ReadonlyArray<string>; readonly target: string }
  /** The entry is the root itself, which is there already. */
  Skip: {}
  /** `why` completes the sentence "it holds <path>, …". */
  Refuse: { readonly why: string }
}>
export const EntryAction = Data.taggedEnum<EntryAction>()

/** Where links may lead: only to what is below the root, or anywhere, since the engine makes a link of a module at an absolute path. */
export type Links = "inside" | "anywhere"

export interface ArchiveSize {
  /** The most entries, and the most directories, which a single entry may have many of in its path. */
  readonly entries: number
  /** The most bytes of the unpacked tar, headers included. */
  readonly bytes: number
}
export const archiveSize: ArchiveSize = { entries: 50_000, bytes: 1024 ** 3 }

/** The most bytes in a whole path and in one name of it, and the most names in a path. */
const pathLimits = { path: 1024, name: 255, depth: 32 } as const

/** Reports whether a name may have been another one: a name is bytes, and a decoder puts U+FFFD in the place of what is not UTF-8. */
const isReplaced = (text: string): boolean => text.includes("\uFFFD")

const size = (text: string): number => new TextEncoder().encode(text).length

/** Returns the names in the path, or why the path is refused. */
const parse = (path: string): ReadonlyArray<string> | string => {
  if (path === "") return "which has no name"
  if (/[\u0000-\u001f\u007f\\]/u.test(path)) return "whose name has a backslash or control character"
  if (isReplaced(path)) return "whose name is not UTF-8, or has U+FFFD in it"
  if (path.startsWith("/") || /^[A-Za-z]:/u.test(path)) return "an absolute path"
  const names = path.split("/").filter((name) => name !== "" && name !== ".")
  if (names.includes("..")) return "which leads outside the archive"
  if (size(path) > pathLimits.path || names.some((name) => size(name) > pathLimits.name)) return "whose name is too long"
  return names.length > pathLimits.depth ? "which is too deep" : names
}

/**
 * Returns why a link with `depth` directories above it may not lead to `target`, or none if it may. `..` is allowed only at the beginning:
 * after a name that is a link itself, it would be resolved from wherever that link leads.
 */
const linkTrouble = (target: string, depth: number, links: Links): Option.Option<string> => {
  const isImpossible = target === "" || /[\u0000-\u001f\u007f\\]/u.test(target) || size(target) > pathLimits.path
  if (isImpossible || (links === "inside" && target.startsWith("/"))) return Option.some("a link to an absolute or impossible path")
  if (isReplaced(target)) return Option.some("a link to a name that is not UTF-8, or has U+FFFD in it")
  if (links === "anywhere") return Option.none()
  const names = target.split("/").filter((name) => name !== "" && name !== ".")
  const up = names.findIndex((name) => name !== "..")
  const climbs = up === -1 ? names.length : up
  return climbs > depth || names.slice(climbs).includes("..") ? Option.some("a link that leads outside the archive") : Option.none()
}

const kinds: Readonly<Record<string, string>> = {
  Hardlink: "a hard link",
  CharDevice: "a device",
  BlockDevice: "a device",
  Fifo: "a named pipe"
}

export const entryAction = ({ linkTarget = "", mode, path, type }: EntryHeader, links: Links = "inside"): EntryAction => {
  const segments = parse(path)
  if (typeof segments === "string") return EntryAction.Refuse({ why: segments })
  if (type === "Directory") return segments.length === 0 ? EntryAction.Skip() : EntryAction.MakeFolder({ segments })
  if (segments.length === 0) return EntryAction.Refuse({ why: "which has no name" })
  if (type === "File") {
    return path.endsWith("/")
      ? EntryAction.Refuse({ why: "a file with the name of a directory" })
      : EntryAction.WriteFile({ segments, executable: (mode & 0o100) !== 0 })
  }
  if (type === "Symlink") {
    return Option.match(linkTrouble(linkTarget, segments.length - 1, links), {
      onNone: () => EntryAction.MakeLink({ segments, target: linkTarget }),
      onSome: (why) => EntryAction.Refuse({ why })
    })
  }
  return EntryAction.Refuse({ why: kinds[type] ?? "something that is no file" })
}
