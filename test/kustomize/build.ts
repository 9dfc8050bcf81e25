// Builds with the real kustomize: a folder of the checkout, or files that a test makes up.
// Invariant: what is built is compared as data, whatever the order of its keys and objects.
// Used by the tests of this folder and of test/core/patch.cluster.test.ts.
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseAllDocuments } from "yaml"
import { manifestYaml } from "../../src/cli/manifest-yaml.ts"

export interface Built {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: object; readonly annotations?: object }
  readonly [key: string]: unknown
}

export const objectsOf = (text: string): ReadonlyArray<Built> => parseAllDocuments(text).map((_) => _.toJS() as Built)

export const build = (folder: string): ReadonlyArray<Built> => objectsOf(execFileSync("kustomize", ["build", folder], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }))

/** Of a kustomization that is in no checkout; `files` are written beside it, each with its objects. */
export const buildOf = (kustomization: object, files: Readonly<Record<string, ReadonlyArray<object>>>): ReadonlyArray<Built> => {
  const folder = mkdtempSync(join(tmpdir(), "agent-job-kustomize-"))
  try {
    for (const [name, objects] of Object.entries({ ...files, "kustomization.yaml": [kustomization] })) writeFileSync(join(folder, name), objects.map(manifestYaml).join("---\n"))
    return build(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
