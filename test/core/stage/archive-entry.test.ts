// Which entries of an archive are written, and what is said of the others.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { normalize } from "node:path"
import { EntryAction, entryAction } from "../../../src/core/stage/archive-entry.ts"

const entry = (path: string, type = "File", linkTarget?: string) => entryAction({ path, type, mode: 0o644, linkTarget })

/** Paths of names, dots and slashes in every order. */
const Path = Schema.String.check(Schema.isPattern(/^(\/|\.\.?\/|[ab]\/|\.\.){0,6}[ab]?$/u))

describe("entryAction", () => {
  it.prop("never writes to a path that leaves the root", [Path], ([path]) => {
    const action = entry(path)
    if (action._tag === "WriteFile") {
      const written = normalize(action.segments.join("/"))
      expect(written.startsWith("/") || written.split("/")[0] === "..").toBe(false)
      expect(action.segments.every((name) => name !== "" && name !== "." && name !== "..")).toBe(true)
    }
  })
  it.prop("never makes a link that leaves the root", [Path, Path], ([path, target]) => {
    const action = entry(path, "Symlink", target)
    if (action._tag === "MakeLink") {
      const reached = normalize([...action.segments.slice(0, -1), action.target].join("/"))
      expect(reached.startsWith("/") || reached.split("/")[0] === "..").toBe(false)
      const names = action.target.split("/").filter((name) => name !== "" && name !== ".")
      expect(names.lastIndexOf("..")).toBeLessThan(
        names.findIndex((name) => name !== "..") + (names.every((name) => name === "..") ? names.length + 1 : 0)
      )
    }
  })
  it.each([
    { path: "./main.tf", action: EntryAction.WriteFile({ segments: ["main.tf"], executable: false }) },
    { path: "a//b/./c.tf", action: EntryAction.WriteFile({ segments: ["a", "b", "c.tf"], executable: false }) },
    { path: "..a/b..", action: EntryAction.WriteFile({ segments: ["..a", "b.."], executable: false }) }
  ])("writes $path", ({ action, path }) => expect(entry(path)).toEqual(action))
  it("keeps the owner's right to execute, and no other right", () => {
    expect(entryAction({ path: "x", type: "File", mode: 0o6755 })).toEqual(EntryAction.WriteFile({ segments: ["x"], executable: true }))
    expect(entryAction({ path: "x", type: "File", mode: 0o6655 })).toEqual(EntryAction.WriteFile({ segments: ["x"], executable: false }))
  })
  it.each(["/opt/modules/vpc", "../../elsewhere"])("makes a link to %s only where links may lead anywhere", (linkTarget) => {
    const link = { path: "a/b", type: "Symlink", mode: 0o777, linkTarget }
    expect(entryAction(link)._tag).toBe("Refuse")
    expect(entryAction(link, "anywhere")).toEqual(EntryAction.MakeLink({ segments: ["a", "b"], target: linkTarget }))
    expect(entryAction({ ...link, linkTarget: "a\0b" }, "anywhere")._tag).toBe("Refuse")
  })
  it.each([
    { path: "a", target: "b/c" },
    { path: "a/b", target: "../c" },
    { path: "a/b", target: ".." },
    { path: "a", target: "." },
    { path: "a/b", target: ".//../c" }
  ])("makes a link of $path to $target, which is inside", ({ path, target }) => {
    expect(entry(path, "Symlink", target)).toEqual(EntryAction.MakeLink({ segments: path.split("/"), target }))
  })
  const long = Array.from({ length: 5 }, () => "x".repeat(204)).join("/")
  it.each([
    { what: "a long name", path: "x".repeat(255), longer: "x".repeat(256), why: "whose name is too long" },
    { what: "a long name, counted in bytes", path: "é".repeat(127), longer: "é".repeat(128), why: "whose name is too long" },
    { what: "a long path", path: long, longer: `${long}x`, why: "whose name is too long" },
    { what: "a deep path", path: "d/".repeat(31) + "x", longer: "d/".repeat(32) + "x", why: "which is too deep" }
  ])("writes $what, and refuses one that is longer", ({ longer, path, why }) => {
    expect(entry(longer)).toEqual(EntryAction.Refuse({ why }))
    expect(entry(path)._tag).toBe("WriteFile")
  })
  it.each(["/etc/passwd", "C:main.tf", "c:/main.tf"])(
    "refuses the absolute path %s",
    (path) => expect(entry(path)).toEqual(EntryAction.Refuse({ why: "an absolute path" }))
  )
  it.each<{ readonly path: string; readonly type?: string; readonly target?: string; readonly why: string }>([
    { path: "", why: "which has no name" },
    { path: ".", why: "which has no name" },
    ...["a\nb", "a\\b", "a\u007fb"].map((path) => ({ path, why: "whose name has a backslash or control character" })),
    { path: "a\uFFFD", why: "whose name is not UTF-8, or has U+FFFD in it" },
    { path: "a/", why: "a file with the name of a directory" },
    { path: "a", type: "Hardlink", why: "a hard link" },
    { path: "a", type: "Socket", why: "something that is no file" },
    ...["", "/b", "x".repeat(1025)].map((target) => ({
      path: "a",
      type: "Symlink",
      target,
      why: "a link to an absolute or impossible path"
    })),
    { path: "a", type: "Symlink", target: "\uFFFD", why: "a link to a name that is not UTF-8, or has U+FFFD in it" },
    ...["..", "b/../c"].map((target) => ({ path: "a", type: "Symlink", target, why: "a link that leads outside the archive" }))
  ])(
    "refuses $path with the words $why",
    ({ path, target, type, why }) => expect(entry(path, type, target)).toEqual(EntryAction.Refuse({ why }))
  )
  it("makes a link to the longest path", () => expect(entry("a", "Symlink", "x".repeat(1024))._tag).toBe("MakeLink"))
  it("makes a folder, and skips the root itself", () => {
    expect(entry("a/b/", "Directory")).toEqual(EntryAction.MakeFolder({ segments: ["a", "b"] }))
    expect(entry("./", "Directory")).toEqual(EntryAction.Skip())
  })
})
