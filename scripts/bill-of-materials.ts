// Writes dist/sbom.json, as CycloneDX 1.5: the packages that are in dist/main.cjs, and the Node that runs it, with what their archives
// must hash to. Nothing in it differs from one writing to the next, so it has no time and no serial number.
// Run by scripts/sbom, after scripts/bundle has written dist/packages.json.
import { readFileSync, writeFileSync } from "node:fs"
import { nodePath, type Part } from "./parts.ts"

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly dependencies: Readonly<Record<string, string>>
}

interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
}

/** The packages of package-lock.json, by path. */
export type Lock = Readonly<Record<string, Locked>>

const purl = (name: string, version: string) => `pkg:npm/${name.replace(/^@/u, "%40")}@${version}`
const nameOf = (path: string) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)

const hash = (path: string, { integrity = "" }: Locked) => {
  const [algorithm, digest = ""] = integrity.split("-")
  if (algorithm !== "sha512") throw new Error(`package-lock.json has no SHA-512 of ${path}; run npm install --package-lock-only`)
  return { alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") }
}

/** Returns where the package at `path` finds another one: in itself, or beside it, or beside one that it is in. */
const found = (lock: Lock, path: string, name: string): string | undefined => {
  for (let folder = path;; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const candidate = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`
    if (candidate in lock) return candidate
    if (folder === "") return undefined
  }
}

/** Returns the document for the packages `parts`. Throws if a dependency of the manifest is not among them, or one is not as locked. */
export const billOfMaterials = (manifest: Manifest, lock: Lock, parts: ReadonlyArray<Part>) => {
  const absent = Object.keys(manifest.dependencies).filter((name) => !parts.some((part) => part.path === `node_modules/${name}`))
  if (absent.length > 0) {
    throw new Error(`nothing of ${absent.join(", ")} is in the bundle; take it out of the dependencies in package.json`)
  }
  const paths = [...parts.map(({ path }) => path), nodePath]
  const reference = (path: string) => purl(nameOf(path), lock[path]?.version ?? "")
  const component = (path: string) => {
    const locked = lock[path]
    const part = parts.find((candidate) => candidate.path === path)
    if (locked === undefined || (part !== undefined && part.version !== locked.version)) {
      throw new Error(`${path} is not as package-lock.json has it; run scripts/packages, then scripts/bundle`)
    }
    return {
      type: path === nodePath ? "platform" : "library",
      "bom-ref": reference(path),
      name: nameOf(path),
      version: locked.version,
      hashes: [hash(path, locked)],
      licenses: [{ expression: part?.license ?? locked.license }],
      purl: reference(path)
    }
  }
  const dependsOn = (path: string, names: ReadonlyArray<string>) => {
    const needed = new Set(names.map((name) => found(lock, path, name)))
    return [...new Set(paths.filter((candidate) => needed.has(candidate)).map(reference))]
  }
  const self = purl(manifest.name, manifest.version)
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": self,
        name: manifest.name,
        version: manifest.version,
        licenses: [{ expression: manifest.license }]
      }
    },
    components: [...new Map(paths.map(component).map((made) => [made.purl, made])).values()],
    dependencies: [
      { ref: self, dependsOn: [...dependsOn("", Object.keys(manifest.dependencies)), reference(nodePath)] },
      ...paths.map((path) => ({ ref: reference(path), dependsOn: dependsOn(path, Object.keys(lock[path]?.dependencies ?? {})) }))
    ]
  }
}

if (import.meta.main) {
  const read = (file: string) => JSON.parse(readFileSync(file, "utf8"))
  const made = billOfMaterials(read("package.json"), read("package-lock.json").packages, read("dist/packages.json"))
  writeFileSync("dist/sbom.json", JSON.stringify(made, null, 2) + "\n")
  console.log(`wrote dist/sbom.json, ${made.components.length} packages`)
}
