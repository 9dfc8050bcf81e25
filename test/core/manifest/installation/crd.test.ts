// The CRD without an API server: every column shows a field that exists, and `kubectl explain` has a sentence for every field.
import { describe, expect, it } from "@effect/vitest"
import { agentTaskOpenApi, crd } from "../../../../src/core/manifest/installation/crd.ts"
import type { Structural } from "../../../../src/schema/task/structural.ts"

/**
 * Returns the schema of the field at a path like `.status.job.name`. Fields of metadata have none, because
 * they are Kubernetes' own.
 */
const typeAt = (path: string): unknown =>
  path.slice(1).split(".").reduce<unknown>((node, key) => Object(Object(Object(node).properties)[key]), agentTaskOpenApi())

const columns: ReadonlyArray<{ readonly name: string; readonly type: string; readonly jsonPath: string }> =
  Object(crd().spec).versions[0].additionalPrinterColumns

describe("a printer column of the CRD", () => {
  it.each(columns.filter(({ jsonPath }) => !jsonPath.startsWith(".metadata")))("$name shows a field of its type", ({ jsonPath, type }) => {
    expect(typeAt(jsonPath)).toMatchObject({ type })
  })
  it("is there for everything that a wide listing promises", () => {
    expect(columns.map(({ name }) => name)).toEqual([
      "Workspace",
      "Stage",
      "Phase",
      "Changes",
      "Reason",
      "Age",
      "Job",
      "Pod",
      "Node",
      "Revision",
      "Duration",
      "Message"
    ])
  })
})

/** The fields that every object has. The API server describes them itself, whatever a definition says of them. */
const ofKubernetes = ["apiVersion", "kind", "metadata"]

/** Returns what each field says of itself, by its path as `kubectl explain` takes it. */
const descriptions = (
  { additionalProperties, items, properties = {} }: Structural,
  path: string
): ReadonlyArray<readonly [string, string]> => [
  ...Object.entries(properties).flatMap(([key, field]) => [
    [`${path}.${key}`, field.description ?? ""] as const,
    ...descriptions(field, `${path}.${key}`)
  ]),
  ...[items, additionalProperties].flatMap((below) => below === undefined ? [] : descriptions(below, path))
]

describe("a field of the CRD", () => {
  const all = descriptions(agentTaskOpenApi(), "atask")
  const own = all.filter(([path]) => !ofKubernetes.some((key) => path === `atask.${key}`))

  it("is counted in the title, on all levels, so that a definition with fewer is known for an older one", () => {
    expect(Object(crd().spec).versions[0].schema.openAPIV3Schema.title).toBe(`${all.length} fields`)
  })

  it("is described in sentences", () => {
    expect(own.length).toBeGreaterThan(100)
    expect(own.filter(([, description]) => !/^\S.*[^.\s]\.$/u.test(description)).map(([path]) => path)).toEqual([])
  })
})

describe("the CRD", () => {
  /** The limit of the API server for all annotations of an object; `kubectl apply` keeps the whole object in one. */
  const mostAnnotations = 256 * 1024

  it("leaves room in the annotation of kubectl apply", () => expect(JSON.stringify(crd()).length).toBeLessThan(mostAnnotations / 4))
})
