// Which bases --base accepts: directories that kustomize accepts, judged by the file in them, and remote ones with their version.
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { baseReference } from "../../../src/cli/values/base-reference.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "base-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Returns the reference to the base `mine` for an overlay in `out`. */
const reference = (out = "out") => baseReference(Option.some(join(folder, "mine")), join(folder, out))

/** Each function makes what its key names at the given path. */
const made = {
  "a file": (path: string) => writeFileSync(path, ""),
  "a link to a file": (path: string) => {
    writeFileSync(join(folder, "file"), "")
    symlinkSync(join(folder, "file"), path)
  },
  "a folder": (path: string) => mkdirSync(path),
  "a link to itself": (path: string) => symlinkSync(path, path)
}

interface Case {
  readonly what: keyof typeof made
  readonly name: string
}

const put = ({ what, name }: Case): void => {
  mkdirSync(join(folder, "mine"))
  made[what](join(folder, "mine", name))
}

describe("a directory as base", () => {
  it.each<Case>([
    { what: "a file", name: "kustomization.yaml" },
    { what: "a file", name: "kustomization.yml" },
    { what: "a file", name: "Kustomization" },
    { what: "a link to a file", name: "Kustomization" }
  ])("is taken with $what $name, and named from the overlay's folder", (given) => {
    put(given)
    expect(Effect.runSync(reference())).toEqual({ reference: "../mine", chosen: true })
  })

  it("is named from where the overlay's folder really is, since kustomize goes from there", () => {
    put({ what: "a file", name: "kustomization.yaml" })
    mkdirSync(join(folder, "deep/place"), { recursive: true })
    symlinkSync(join(folder, "deep/place"), join(folder, "link"))
    const { reference: named } = Effect.runSync(reference("link/new/out"))
    expect(resolve(realpathSync(folder), "deep/place/new/out", named)).toBe(join(realpathSync(folder), "mine"))
  })

  it.each<Case>([
    { what: "a file", name: "kustomize.yaml" },
    { what: "a folder", name: "kustomization.yaml" },
    { what: "a folder", name: "Kustomization" },
    { what: "a link to itself", name: "kustomization.yaml" }
  ])("is refused with $what $name", (given) => {
    put(given)
    expect(Effect.runSync(Effect.flip(reference()))).toMatchObject({
      _tag: "BadInput",
      message: `There is no kustomization.yaml that can be read in ${
        join(folder, "mine")
      }; name the base with --base: a directory, or https://HOST/OWNER/agent-job//kustomize/base?ref=v0.1.0.`
    })
  })
})

describe("a remote base", () => {
  const given = (base: string) => baseReference(Option.some(base), join(folder, "out"))

  it.each([
    "https://host.example/owner/agent-job//kustomize/base?ref=v0.1.0",
    "https://host.example/owner/agent-job//kustomize/base?timeout=90s&ref=v0.1.0",
    "git@host.example:owner/agent-job//kustomize/base?ref=main",
    "host.example/owner/agent-job//kustomize/base?ref=v0.1.0"
  ])("is taken as it is with its version: %s", (base) => expect(Effect.runSync(given(base))).toEqual({ reference: base, chosen: true }))

  it.each([
    "https://host.example/owner/agent-job//kustomize/base",
    "https://host.example/owner/agent-job//kustomize/base?ref=",
    "https://host.example/owner/agent-job//kustomize/base?ref=&timeout=90s",
    "https://host.example/owner/agent-job//kustomize/base?href=v0.1.0",
    "git@host.example:owner/agent-job//kustomize/base"
  ])("is refused without one: %s", (base) =>
    expect(Effect.runSync(Effect.flip(given(base)))).toMatchObject({
      _tag: "BadInput",
      message: `--base ${base} names no version, so that it may be another one tomorrow; add one, such as ?ref=v0.1.0.`
    }))
})
