// What the program is made of, and what `make sbom` and the image tell of it, for a bundle that is made here.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { billOfMaterials, type Lock, type Manifest } from "../../scripts/bill-of-materials.ts"
import { nodePath, noText, type Part } from "../../scripts/parts.ts"
import { bundle } from "../bundle.ts"

const read = (file: string) => JSON.parse(readFileSync(file, "utf8"))
const manifest: Manifest = read("package.json")
const { packages: lock }: { readonly packages: Lock } = read("package-lock.json")

const directory = mkdtempSync(join(tmpdir(), "agent-job-bundle-"))
afterAll(() => rmSync(directory, { recursive: true }))

/** Makes the bundle in a folder of this name; returns the texts of its files. */
const make = (name: string) => {
  bundle("src/main.ts", join(directory, name, "main.cjs"))
  const text = (file: string) => readFileSync(join(directory, name, file), "utf8")
  return { program: text("main.cjs"), packages: text("packages.json"), licences: text("LICENSES.txt") }
}

let made: ReturnType<typeof make>
let parts: ReadonlyArray<Part> = []
beforeAll(() => {
  made = make("once")
  parts = JSON.parse(made.packages)
})

describe("the bundle", () => {
  it("is the same, byte for byte, when it is made again", () => expect(make("again")).toEqual(made))
  it("tells of each dependency, and of what is in it without being one", () => {
    const names = parts.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining([...Object.keys(manifest.dependencies), "ws"]))
    expect(names.filter((name) => !existsSync(`node_modules/${name}`))).toEqual([])
    expect(names).not.toContain("rolldown")
  })
  it("comes with the licence of each, of Node and of its own", () => {
    expect(parts.filter(({ name, version }) => !made.licences.includes(`\n${name} ${version}\n`))).toEqual([])
    expect(made.licences).toContain("Copyright 2008 Google Inc.") // of @bufbuild/protobuf, which has no file with its licence
    expect(made.licences).not.toContain(noText)
    expect(made.licences).toContain("Copyright Node.js contributors")
    expect(made.licences).toMatch(/^=+\nagent-job [^]*TERMS AND CONDITIONS/u)
  })
})

describe("the bill of materials", () => {
  it("has each package of the bundle, and Node, once and with the digest that is locked", () => {
    const { components, dependencies } = billOfMaterials(manifest, lock, parts)
    expect(components.map(({ name, type, version }) => ({ name, type, version }))).toEqual([
      ...parts.map(({ name, version }) => ({ name, type: "library", version })),
      { name: nodePath.slice("node_modules/".length), type: "platform", version: lock[nodePath]?.version }
    ])
    for (const { hashes, name } of components) {
      const content = Buffer.from(hashes[0]?.content ?? "", "hex").toString("base64")
      expect(lock[`node_modules/${name}`]?.integrity).toBe(`sha512-${content}`)
    }
    expect(dependencies.map(({ ref }) => ref).slice(1)).toEqual(components.map(({ purl }) => purl))
    expect(dependencies[0]?.dependsOn).toHaveLength(Object.keys(manifest.dependencies).length + 1)
  })
  it("says which package needs which, the nearest of several", () => {
    const locked = (version: string, dependencies = {}) => ({ version, integrity: "sha512-AA==", dependencies })
    const nested: Lock = {
      "node_modules/a": locked("1.0.0", { b: "2", c: "1" }),
      "node_modules/a/node_modules/b": locked("2.0.0", { c: "1" }),
      "node_modules/b": locked("1.0.0"),
      "node_modules/c": locked("1.0.0"),
      [nodePath]: locked("24.0.0")
    }
    const all = Object.entries(nested).slice(0, 4).map(([path, { version }]) => ({ path, name: path.slice(-1), version, license: "MIT" }))
    const { dependencies } = billOfMaterials({ ...manifest, dependencies: { a: "1.0.0" } }, nested, all)
    expect(dependencies.slice(1, 3)).toEqual([
      { ref: "pkg:npm/a@1.0.0", dependsOn: ["pkg:npm/b@2.0.0", "pkg:npm/c@1.0.0"] },
      { ref: "pkg:npm/b@2.0.0", dependsOn: ["pkg:npm/c@1.0.0"] }
    ])
  })
  it.each([
    {
      given: "a dependency of which nothing is in the bundle",
      bundled: [],
      says: /^nothing of @bufbuild\/protobuf, .*yaml is in the bundle/u
    },
    {
      given: "a package of another version than is locked",
      version: "0.0.1",
      says: /is not as package-lock\.json has it; run scripts\/packages/u
    }
  ])("is refused for $given", ({ bundled, says, version }) => {
    const changed = bundled ?? parts.map((part) => ({ ...part, version: version ?? part.version }))
    expect(() => billOfMaterials(manifest, lock, changed)).toThrow(says)
  })
})
