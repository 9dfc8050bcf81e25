// Builds with the real kustomize: a folder of the checkout, or files that a test makes up.
// Invariant: tests compare what was built as data, by its meaning.
// Used by the tests of this folder, test/gitops, test/cli/commands and test/core/manifest, and by test/core/overlay/patch.cluster.test.ts.
import { execFile } from "node:child_process"
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { promisify } from "node:util"
import { parse } from "yaml"
import { manifestYaml } from "../../src/cli/terminal/manifest-yaml.ts"

const execute = promisify(execFile)

export interface Built {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: object; readonly annotations?: object }
  readonly [key: string]: unknown
}

/** Objects by their text: they are parsed once, because most objects of two builds are the same, and some are large. */
const known = new Map<string, Built>()
const objectOf = (text: string): Built => {
  const object = known.get(text) ?? (parse(text) as Built)
  known.set(text, object)
  return object
}

export const objectsOf = (text: string): ReadonlyArray<Built> => text.split(/^---\n/mu).filter((_) => _.trim() !== "").map(objectOf)

/** A build ends before it fills 100 MiB, so it collects no garbage: that would be a third of its work. */
const env = { ...process.env, GOGC: "off" }

export const build = async (folder: string): Promise<ReadonlyArray<Built>> =>
  objectsOf((await execute("kustomize", ["build", folder], { env, maxBuffer: 2 ** 24 })).stdout)

/** Builds a kustomization that is in no checkout, with `files` beside it. `at` returns the relative path to a path of the checkout. */
export const buildOf = async (
  kustomization: (at: (path: string) => string) => object,
  files: Readonly<Record<string, ReadonlyArray<object>>> = {}
): Promise<ReadonlyArray<Built>> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "agent-job-kustomize-")))
  try {
    const contents = { ...files, "kustomization.yaml": [kustomization((path) => relative(folder, resolve(path)))] }
    await Promise.all(
      Object.entries(contents).map(([name, objects]) => writeFile(join(folder, name), objects.map(manifestYaml).join("---\n")))
    )
    return await build(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The names of lists whose order has no meaning. */
export const unordered: ReadonlyArray<string> = ["hostAliases", "imagePullSecrets", "volumeMounts", "volumes"]

/** Reports whether one of the variables refers to another, which gives their order a meaning. */
const refers = (variables: ReadonlyArray<unknown>): boolean => {
  const text = JSON.stringify(variables)
  return variables.some((variable) =>
    typeof variable === "object" && variable !== null && "name" in variable && text.includes(`$(${variable.name})`)
  )
}
const isEmpty = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length === 0

const meaning = (data: unknown, loose: ReadonlyArray<string>, field = ""): unknown => {
  if (Array.isArray(data)) {
    const elements = data.map((_) => meaning(_, loose))
    return loose.includes(field) && !refers(elements) ? elements.sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1) : elements
  }
  if (typeof data !== "object" || data === null) return data
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => [name, meaning(value, loose, name)] as const).filter(([, value]) => !isEmpty(value)).sort((
      [a],
      [b]
    ) => a < b ? -1 : 1)
  )
}

export const idOf = ({ kind, metadata: { name, namespace = "" } }: Built): string => `${kind} ${namespace}/${name}`

/** Returns the objects by identity, without what has no meaning: the order of some lists, and empty values. */
export const meaningOf = (
  objects: ReadonlyArray<object>,
  loose: ReadonlyArray<string> = [...unordered, "env"]
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(objects.map((_) => JSON.parse(JSON.stringify(_)) as Built).map((object) => [idOf(object), meaning(object, loose)]))
